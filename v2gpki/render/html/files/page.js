// Copying what has to be typed elsewhere. Everything else works without this file.
"use strict";
if (navigator.clipboard) {
  for (const part of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy " + (part.getAttribute("aria-label") || "this"));
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(part.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    part.after(button);
  }
}
