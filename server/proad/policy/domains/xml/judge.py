"""Judges a tree of XML by an allowlist, and copies what is allowed."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace

from lxml import etree

from proad.errors import Violation
from proad.policy.domains.xml.grammar import DocumentContext, ElementRules, Fault, Variants
from proad.policy.domains.xml.values import Dropped, shown
from proad.policy.profile import Profile

MOST_VIOLATIONS = 50
_SHOWN = 64
_STRICTEST = Profile()


class XmlJudge:
    """Judges one tree.

    Args:
        around: what the rules depend on.
    """

    def __init__(self, around: DocumentContext) -> None:
        self.violations: list[Violation] = []
        self._around = around
        # What libvirt and Proa add by themselves needs no setting.
        self._strict = replace(around, profile=_STRICTEST)

    def judged(
        self, source: etree._Element, rules: ElementRules | Variants, path: str
    ) -> etree._Element | None:
        """Return a copy of what is allowed of an element; None: nothing is left.

        Args:
            source: the element.
            rules: its rules.
            path: its XPath.
        """
        form, by = rules, set[str]()
        while isinstance(form, Variants):
            value = source.get(form.by, form.absent)
            found = None if value is None else form.forms.get(value)
            if found is None:
                told = f"is {shown(value)}" if value is not None else "is missing"
                known = ", ".join(filter(None, form.forms))
                message = f"{told}, not one of {known}"
                self._deny(f"{path}/@{form.by}", Fault(form.rule, "", message))
                return None
            by.add(form.by)
            form = found
        if form.dropped and self._is_own(source, rules, form, path):
            return None
        if form.need is not None:
            if fault := form.need.fault(self._around):
                self._deny(path, fault)
                return None
            if form.whole:
                return self._whole(source, path)
        home = etree.QName(source).namespace
        made = etree.Element(source.tag, nsmap={source.prefix: home} if home else None)
        self._attributes(source, form, by, made, path)
        self._text(source, form, made, path)
        self._children(source, rules, form, made, path)
        for check in form.checks:
            if denied := check.fault(source, self._around):
                self._deny(path + denied[0], denied[1])
        emptied = (source.attrib or source.text) and not (len(made) or made.attrib or made.text)
        return None if emptied else made

    def _is_own(
        self, source: etree._Element, rules: ElementRules | Variants, form: ElementRules, path: str
    ) -> bool:
        """Return whether an element is what libvirt or Proa would add, whatever the profile."""
        own = XmlJudge(self._strict)
        kept = replace(form, dropped=False)
        by = {rules.by} if isinstance(rules, Variants) else set()
        scrap = etree.Element(source.tag)
        own._attributes(source, kept, by, scrap, path)
        own._text(source, kept, scrap, path)
        own._children(source, rules, kept, scrap, path)
        return not own.violations

    def _attributes(
        self,
        source: etree._Element,
        form: ElementRules,
        by: set[str],
        made: etree._Element,
        path: str,
    ) -> None:
        for name, value in source.attrib.items():
            if name in by:
                made.set(name, value)
                continue
            rule = form.attributes.get(str(name))
            place = f"{path}/@{clipped(str(name))}"
            if rule is None:
                kind = "foreign namespace" if str(name).startswith("{") else "attribute not listed"
                self._deny(place, Fault(kind, "", "is not one of those that are allowed"))
            elif fault := rule.fault(str(value), self._around):
                self._deny(place, fault)
            elif not self._is_dropped(rule, str(value)):
                made.set(name, value)

    def _text(
        self, source: etree._Element, form: ElementRules, made: etree._Element, path: str
    ) -> None:
        text = source.text or ""
        if form.text is None:
            if text.strip():
                self._deny(path, Fault("text not listed", "", f"has the text {shown(text)}"))
        elif fault := form.text.fault(text, self._around):
            self._deny(path, fault)
        elif text and not self._is_dropped(form.text, text):
            made.text = text

    def _children(
        self,
        source: etree._Element,
        rules: ElementRules | Variants,
        form: ElementRules,
        made: etree._Element,
        path: str,
    ) -> None:
        total = Counter(child.tag for child in source)
        met = Counter[object]()
        for child in source:
            tag = str(child.tag)
            met[tag] += 1
            place = f"{path}/{_step(child)}"
            if total[tag] > 1:
                place += f"[{met[tag]}]"
            inner = rules if form.nested == tag else form.children.get(tag)
            if inner is None:
                kind = "foreign namespace" if tag.startswith("{") else "element not listed"
                self._deny(place, Fault(kind, "", "is not one of those that are allowed"))
                continue
            if met[tag] > 1 and not inner.many:
                self._deny(place, Fault("repeated element", "", "stands there more than once"))
                continue
            if (copy := self.judged(child, inner, place)) is not None:
                made.append(copy)

    def _is_dropped(self, rule: object, text: str) -> bool:
        return isinstance(rule, Dropped) and rule.fault(text, self._strict) is None

    def _whole(self, source: etree._Element, path: str) -> etree._Element:
        """Return a copy of an element with all that is in it, of its own namespace."""
        home = etree.QName(source).namespace
        for each in source.iter():
            names = [each.tag, *each.attrib]
            if any(etree.QName(name).namespace not in {home, None} for name in names):
                fault = Fault("foreign namespace", "", "is not one of those that are allowed")
                self._deny(f"{path}//{_step(each)}", fault)
        copy = deepcopy(source)
        copy.tail = None
        return copy

    def _deny(self, path: str, fault: Fault) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(
                Violation(field=path, rule=fault.rule, setting=fault.setting, message=fault.message)
            )


def clipped(name: str) -> str:
    """Return a name of an element or attribute for an XPath, shortened."""
    local = etree.QName(name).localname
    return local if len(local) <= _SHOWN else f"{local[:_SHOWN]}…"


def _step(element: etree._Element) -> str:
    name = clipped(str(element.tag))
    if element.prefix:
        return f"{element.prefix[:_SHOWN]}:{name}"
    return f"*[name()='{name}']" if etree.QName(element).namespace else name
