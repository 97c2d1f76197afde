"""The keys of the issuer, and the name of the user of its tokens."""

from issuer import ISSUER, ec_key, ed_key, rsa_key
from proad.store.identities import identity_name

RSA, EC, ED = rsa_key(), ec_key(), ed_key()
NAME = identity_name(ISSUER, "5f1c-ann")
