"""ISO 15118-2: `V2G_Message` and everything in it. The modules are by subject; all their names stand here as well."""

from v2gpki.messages.iso2.certificate import *
from v2gpki.messages.iso2.charging import *
from v2gpki.messages.iso2.message import *
from v2gpki.messages.iso2.schedule import *
from v2gpki.messages.iso2.service import *
from v2gpki.messages.iso2.types import *
