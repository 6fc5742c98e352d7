"""The chain corpus: cases as data, minted anew in every run."""
