#!/usr/bin/env python3
"""Writes expressions.jsonl: small templates and what Jinja2 makes of them, with the settings of transformers' render_jinja_template.

Needs Jinja2 (Debian: python3-jinja2). Each line: {"template", "text"} or {"template", "error": kind of the exception}.
"""
import datetime
import json

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    "s": "Hello World", "u": "héllo 👍🏽 ß", "e": "", "sp": "  a b\tc \n", "n": 7, "m": -3, "f": 2.5, "z": 0, "t": True, "none": None,
    "l": [3, 1, 2], "w": ["b", "A", "c", "a"], "mixed": [1, "a", None, True, 2.0], "d": {"b": 1, "A": 2, "c": None},
    "rows": [{"k": "x", "v": 1}, {"k": "y", "v": 2}, {"k": "x", "v": 3}, {"v": 4}], "nested": {"a": {"b": [10, 20, {"c": "deep"}]}},
    "q": "it's \"quoted\"\n\t\\ \u00a0\u200b", "html": "<a href='x'>&</a>",
}

EXPRESSIONS = r"""
1 + 2 * 3 ** 2 - 4 / 2 // 1 % 3
7 // 2, -7 // 2, 7 % 3, -7 % 3, 7 % -3, 7.5 // 2, -7.5 % 2
2 ** 10, 2 ** -1, (-1) ** 63, 0 ** 0, 2 ** 0.5
10 / 4, 10 / 5, 1 / 3, 1e16, 1e15, 1.5e-5, 0.0001, 123456789012345678, 1e22, 0.1 + 0.2, 1.0, -0.0, 1e300 * 1e10
- 2 ** 2, -n, +n, -f, not n, not z, not not s
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0, true == 1, "a" < "b", "Z" < "a", [1, 2] < [1, 3], (1, 2) == (1, 2), [1] == (1,)
"a" in "cat", "x" not in "cat", 1 in [1, 2], "b" in d, "B" in d, none in mixed
1 ~ "a" ~ 2.0 ~ none ~ [1, "x"]
"a" "b" 'c'
"a" * 3, [1, 2] * 2, 2 * "ab", "a" * 0, "a" * -1
[1] + [2], "a" + "b", (1,) + (2,)
"yes" if n > 5 else "no"
"yes" if n > 50
("x" if n > 50) is defined
n and s, z and s, n or s, z or s, z or none
s[0], s[-1], s[1:4], s[::-1], s[::2], s[-3:], s[:-3], s[100:], s[5:2], u[6], u[7], u[6:8], u[::-1]
l[0], l[-1], l[1:], l[::-1], l[5], l[-5], l[:2]
d.b, d["A"], d.get("b"), d.get("x"), d.get("x", 9), d.c, d.missing, d["missing"]
nested.a.b[2].c, nested["a"].b[0], nested.a.b.2.c
d.keys() | list, d.values() | list, d.items() | list
d | items | list
d | dictsort, d | dictsort(true), d | dictsort(false, 'key', true)
{"b": 2, "a": 1} | dictsort(by="value")
l | sort, l | sort(reverse=true), w | sort, w | sort(case_sensitive=true), rows[:3] | sort(attribute="k") | map(attribute="v") | list
rows[:3] | sort(attribute="k,v", reverse=true) | map(attribute="v") | list
w | unique | list, [1, 1.0, true, "a", "A"] | unique | list, rows | unique(attribute="k") | map(attribute="v") | list
l | max, l | min, w | max, w | min(case_sensitive=true), [] | max, rows | max(attribute="v")
l | sum, rows | sum(attribute="v"), [[1], [2]] | sum(start=[])
l | first, l | last, e | first, [] | last, s | first, s | last
l | join, l | join(", "), rows | join("-", attribute="v"), s | join("."), mixed | join("|")
l | length, s | length, u | length, d | length, missing | length, l | count
l | reverse | list, s | reverse, u | reverse
l | map("string") | join("+"), w | map("upper") | list, rows | map(attribute="k", default="?") | list, ["  a "] | map("trim") | list
l | select("odd") | list, l | reject("odd") | list, mixed | select | list, mixed | reject("none") | list, l | select("gt", 1) | list
rows | selectattr("k") | map(attribute="v") | list, rows | selectattr("k", "equalto", "x") | map(attribute="v") | list, rows | rejectattr("k", "defined") | list
l | batch(2) | list, l | batch(2, 0) | list, [1,2,3,4,5] | slice(3) | list, [1,2,3,4,5] | slice(3, "x") | list
rows[:3] | groupby("k") | list
s | upper, s | lower, s | title, "hELLO wORLD" | capitalize, "they're bill's-friends" | title, u | upper, u | title
s | replace("l", "L"), s | replace("l", "L", 1), "aaa" | replace("a", "", 2), "abc" | replace("", "-"), 121 | replace("1", "x")
sp | trim, "xxhixx" | trim("x"), sp | wordcount
"a\nb\n\nc" | indent, "a\nb\n\nc" | indent(2, true), "a\nb\n\nc" | indent(2, blank=true), "a\nb" | indent("> ")
s | default("x"), missing | default("x"), e | default("x"), e | default("x", true), none | default("x"), none | d("x", boolean=true), missing | d
"42" | int, "x" | int, "x" | int(5), "0x1f" | int(0, 16), 3.9 | int, "3.9" | int, none | int, " 12 " | int, "1e3" | int, "1_000" | int
"4.5" | float, "x" | float, "x" | float(1.5), 3 | float, "nan" | float
3.14159 | round(2), 2.5 | round, 3.5 | round, 7 | round, 2.1 | round(0, "ceil"), 2.9 | round(method="floor"), 1234.5 | round(-2)
-5 | abs, 5.5 | abs, true | abs
[1, 2] | string, none | string, 1.0 | string, s | string | length
s | list, u | list, d | list
s | center(20) ~ "|"
"%s and %d and %05.2f and %x and %%" | format("a", 3, 2.5, 255), "%(a)s" | format(a=1), "%r %s" | format("x", none), "%5s|%-5s|" | format("a", "b")
"%s" % "x", "%d%%" % 5, "%s-%s" % (1, 2), "%.3f" % 2, "%+d" % 3, "%03d" % 7
"{} {}".format(1, "a"), "{0}{1}{0}".format("x", "y"), "{a}".format(a=3), "{:.2f}".format(3.14159), "{:>5}|{:<5}|{:^5}".format("a", "b", "c"), "{:05d}".format(42), "{{}}".format()
"{:,}".format(1234567), "{:*^9}".format("mid"), "{:.0%}".format(0.25), "{:x}".format(255)
s | tojson, q | tojson, u | tojson, u | tojson(ensure_ascii=true), d | tojson, mixed | tojson, 1.5 | tojson, none | tojson, html | tojson, {1: 2, none: 3, true: 4} | tojson
nested | tojson(indent=2)
[] | tojson(indent=2), {} | tojson(indent=2), {"b": 1, "a": [1, 2]} | tojson(sort_keys=true), [1, {"a": 2}] | tojson(separators=(",", ":")), (1, 2) | tojson
[s, q, u], {"k": q}, (1,), (), [none, true, 1.5], {"a": [1, {"b": "c"}]}
"\x41\u00e9\U0001F600\101\n\t\\\'\"\q" ~ '\a' | length
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase()
sp.strip(), sp.lstrip(), sp.rstrip(), "xxaxx".strip("x"), "xyax".lstrip("yx"), "abc".rstrip("c")
s.startswith("He"), s.startswith(("x", "H")), s.endswith("ld"), s.endswith(("x",)), s.startswith("")
"a,b,,c".split(","), "a,b,c".split(",", 1), sp.split(), " a  b c ".split(none, 1), "abc".split("x"), "".split(), "".split(",")
"a,b,c".rsplit(",", 1), " a b  c ".rsplit(none, 1), "a\nb\r\nc\n".splitlines(), "a\nb".splitlines(true)
"a=b=c".partition("="), "a=b=c".rpartition("="), "abc".partition("x"), "abc".rpartition("x")
s.find("o"), s.find("x"), s.rfind("o"), s.index("W"), s.find("o", 5), s.find("o", 0, 3), u.find("ß"), s.count("l"), s.count("")
s.replace("World", "there"), s.replace("l", "", 1), "aXbX".replace("X", "")
",".join(["a", "b"]), "".join(w), ", ".join(d)
"7".zfill(3), "-7".zfill(4), "a".ljust(3) ~ "|", "a".rjust(3), "a".center(4) ~ "|", "ab".center(5, "*"), "a".center(4, "-"), "abc".ljust(2)
"abc".isalpha(), "a1".isalnum(), "12".isdigit(), " ".isspace(), "AB".isupper(), "ab".islower(), "".isalpha(), "1.5".isdigit(), "é".isalpha()
"prefix-x".removeprefix("prefix-"), "x.txt".removesuffix(".txt"), "abc".removeprefix("x")
l.index(1), l.count(3), [1, [2]].copy()
s is defined, missing is defined, missing is undefined, none is none, none is defined, s is string, 1 is number, true is number, 1.5 is float, 1 is integer, true is integer, true is boolean
d is mapping, l is mapping, l is sequence, d is sequence, s is sequence, 1 is sequence, l is iterable, 1 is iterable, s is iterable, range(3) is sequence
3 is odd, 3 is even, 4 is divisibleby(2), 4 is divisibleby 3, "a" is lower, "A" is upper, 1 is eq 1, 1 is ne 1, 2 is gt 1, 2 is lessthan 1, 1 is in [1, 2], "a" is sameas "a", t is true, z is false, t is sameas true
range is callable, s is callable, 1 is not none, s is not string
range(5) | list, range(2, 8, 3) | list, range(5, 0, -2) | list, range(0) | list, range(3)[1], range(5) | length
dict(a=1, b=2), dict({"x": 1}, y=2), dict([("a", 1)])
missing, missing == missing2, missing or "x", "a" in missing, missing | list, missing | join(","), [missing | default(1)]
none == missing, missing == "", not missing
namespace(a=1).a, namespace(a=1).b is defined
cycler("a", "b").next()
1 in (1, 2), "k" in rows[0], {"a": 1}["a"], {"a": 1}.a, {"items": 5}["items"], {"items": 5}.items is callable
(1, 2, 3)[1], (1), (1,)
"a" if true else "b" if false else "c"
1 if false else 2 if false else 3
not 1 == 2, not (1 in [1]), 1 not in [2] and 2 in [2]
-1 | abs, (-1) | abs, 2 + 3 | string | length
"x" | upper ~ "y", ("x" ~ "y") | upper
s | upper | lower | title
[1, 2, 3] | map("float") | list
"a-b_c d" | title
l is eq [3, 1, 2]
{"a": 1, "b": [1, 2]} == {"b": [1, 2], "a": 1.0}
strftime_now("%Y-%m-%d %H:%M:%S %B %b %A %a %j %y %I %p %-d %-m %e %%")
"é" < "f", "z" < "é", "👍" > "ﬀ"
[3, 1] + l | sort
rows | map(attribute="k") | list | length
rows | map(attribute="v") | sum
d | length > 2, (d | length) > 2
s.split("o") | map("length") | list
"1" + 1
none + 1
missing + 1
missing.x
missing()
missing["x"]
s()
1 / 0
1 // 0
1 % 0
[1, 2] + (3,)
"a" < 1
none < 1
l | length()
none | length
5 | list
none | join
s.nothing()
s.nothing
d.update({"a": 1})
l.append(4)
s.__class__
d.__class__.__mro__
(1).__class__
raise_exception("no")
raise_exception("é 'q'")
{[1]: 2}
{{}: 2}
1 in 5
1 in "a"
"a".index("x")
[1].index(2)
"a".split("")
l | sort(attribute="x")
[1, "a"] | sort
w | max(attribute="x")
range(1000000)
missing | tojson
range | tojson
s[1:2:0]
rows | selectattr("k", "nope") | list
s | nope
s is nope
"%d" % "x"
"%s %s" % "x"
"{} {}".format(1)
{"a": 1}.b.c
loop
{"a": 1}.a.b
"abc".removeprefix("")
q ~ html
""" .strip("\n").split("\n")

TEMPLATES = [
    "{% for x in l %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}<{{ loop.nextitem }} {% endfor %}",
    "{% for x in [] %}a{% else %}empty{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }} {% else %}none{% endfor %}",
    "{% for x in l if x > 5 %}{{ x }}{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }}{% endfor %}", "{% for c in u %}[{{ c }}]{% endfor %}", "{% for a, b in [(1, 2), (3, 4)] %}{{ a + b }} {% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}", "{% for x in none %}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}after",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for r in [{'n': 1, 'c': [{'n': 2, 'c': []}]}] recursive %}<{{ r.n }}{{ loop(r.c) }}{{ loop.depth }}>{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}", "{% set ns = namespace(x=0) %}{% for i in l %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set x %}block {{ n }}{% endset %}[{{ x }}]", "{% set x | upper %}block{% endset %}{{ x }}", "{% set d.x = 1 %}",
    "{% if z %}a{% elif n %}b{% else %}c{% endif %}", "{% if missing %}a{% endif %}b", "{% if n == 7 and s %}y{% endif %}",
    "{% macro m(a, b=2, c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }}|{{ m(1, 3) }}|{{ m(a=5, c=6) }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m() %}{{ x }}{% endmacro %}{% set x = 5 %}{{ m() }}{% set x = 6 %}{{ m() }}", "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in{% endcall %}",
    "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}-{{ b }}{% endcall %}", "{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% macro m(x) %}{% set y = x %}{{ y }}{% endmacro %}{{ m(1) }}{{ y is defined }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
    "{% filter upper %}abc{{ n }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}aa{% endfilter %}", "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set q2 = 1 %}{{ q2 }}{% endwith %}{{ q2 is defined }}", "{% raw %}{{ n }}{% x %}{% endraw %}", "{%- raw -%}  {{ n }}  {%- endraw -%} x", "a{# comment {{ n }} #}b",
    "{# a #}\nb", "a\n{% if t %}\nb\n{% endif %}\nc\n", "a\n  {% if t %}  \nb\n  {% endif %}\nc\n\n", "a  {%- if t -%}  b  {%- endif -%}  c", "a  {%+ if t %} b{% endif +%}\nc",
    "  {%+ if t %}x{% endif %}", "a {{- n -}} b", "{{ n }}\nx", "{{ n -}}\n\n x", "a\n {{- n }}", "{% if t -%}\n  x\n{%- endif %}", "x {% if t %} {% endif %} y", "\t{% if t %}a{% endif %}",
    "{% set x = 1 %}\n\n{{ x }}", "  {# c #}  x", "a\r\nb\r\n", "{{ '}}' }}{{ \"%}\" }}{{ {'a': {'b': 1}}['a']['b'] }}", "{{ 'a' if t }}{{ 'b' if z }}", "{{ l }}{{ d }}",
    "{% for i in range(3) %}{% for j in range(2) %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{% endfor %}", "{% set x = [] %}{{ x.append(1) }}",
    "{% set g = l | map('string') %}{{ g | list }}{{ g | list }}", "{% if l | select('gt', 100) %}true{% endif %}", "{% set j = joiner('|') %}{{ j() }}a{{ j() }}b{{ j() }}",
    "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}", "{% if %}", "{% for x %}{% endfor %}", "{{ 1 + }}", "{% if t %}", "{% endif %}", "{{ 'a }}", "{% nope %}",
    "{{ (1 }}", "{{ 1) }}", "{% set 1 = 2 %}", "{{ s | }}", "{{ s is }}", "{% break %}", "{{ a.1b }}", "{% for x in l %}{{ x }}", "{{ n", "{# x", "{% raw %}x", "{{ [1, 2 }}", "{{ {'a' 1} }}", "{{ f(a=1, 2) }}",
    "{% generation %}x{{ n }}{% endgeneration %}y", "{% for x in l %}{% set n = x %}{% endfor %}{{ n }}", "{% if t %}{% set n = 9 %}{% endif %}{{ n }}",
    "{%if t%}a{%endif%}", "{{n}}{{-n-}}", "{%- for x in l -%}\n  {{ x }}\n{%- endfor -%}\n", "{{ '\\n' }}|{{ \"a\\\\n\" }}", "{{ not t }}{{ not(t) }}", "{{ n|string|length }}", "{{ l|join(',')|upper }}",
    "{% for x in l %}{{ x }}{% endfor %}{{ x is defined }}", "{% for x in l recursive %}{{ x }}{% endfor %}", "{{ loop is defined }}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% set x = 'a' %}{% macro m(x) %}{{ x }}{% endmacro %}{{ m('b') }}{{ x }}", "{{ rows[0].k }}{{ rows[3].k }}{{ rows[0]['v'] + 1 }}", "{{ rows | map(attribute='k') | select('defined') | join }}",
]


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def _run(self, context, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = lambda format: datetime.datetime(2026, 3, 7, 9, 5, 4).strftime(format)
with open("variables.json", "w", encoding="utf-8") as file:
    json.dump(VARIABLES, file, ensure_ascii=False, indent=1)
with open("expressions.jsonl", "w", encoding="utf-8") as file:
    for template in ["{{ " + expression + " }}" for expression in EXPRESSIONS] + TEMPLATES:
        try:
            result = {"text": environment.from_string(template).render(**VARIABLES)}
        except Exception as error:
            result = {"error": type(error).__name__, "message": str(error)}
        file.write(json.dumps({"template": template, **result}, ensure_ascii=False) + "\n")
