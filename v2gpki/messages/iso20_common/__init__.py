"""CommonMessages of ISO 15118-20, shared by all energy transfer modes: modules by subject, all names stand here."""

from v2gpki.messages.iso20_common.certificate import *
from v2gpki.messages.iso20_common.price import *
from v2gpki.messages.iso20_common.schedule import *
from v2gpki.messages.iso20_common.session import *
from v2gpki.messages.iso20_types import *
