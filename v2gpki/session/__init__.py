"""A charging session without sockets: both roles of ISO 15118-2 and -20 as engines fed with octets and answers."""
