"""What a profile allows of domain XML.

The allowlist is data: `domain.DOMAIN`, with `disks`, `interfaces`, `channels` and `devices`.
`judge` walks a tree along the allowlist, copies what is allowed, and yields a violation with an
XPath for everything else. What libvirt is given is that copy.
"""

from proad.policy.domains.xml.documents import disks_of, judge_document, judge_xml

__all__ = ["disks_of", "judge_document", "judge_xml"]
