"""The hostile texts, by subject. Where each is refused stands in `refused.txt`, one line for each name."""

from __future__ import annotations

from collections.abc import Iterator

from hostile.case import net

__all__ = ["texts"]

IDS = "input x: B N 8"
GRID = "input x: B (h=64 w=64) 8"


def texts() -> dict[str, str | bytes]:
    """Every text by its name."""
    found: dict[str, str | bytes] = {}
    for part in (_encodings, _sizes, _depths, _syntax, _numbers, _repeats, _definitions, _names, _keys, _shapes,
                 _tables, _patterns, _settings, _injections):
        for name, text in part():
            assert name not in found, name
            found[name] = text
    return found


def _lines(form: str, count: int) -> str:
    return "\n".join(form.format(i=i, j=i + 1) for i in range(count))


def _encodings() -> Iterator[tuple[str, str | bytes]]:
    good = net("relu").encode()
    yield "encoding/utf-16", net("relu").encode("utf-16")
    yield "encoding/latin-1", net("relu  # é").encode("latin-1")
    yield "encoding/cut-sequence", good + "# ü".encode()[:-1]
    yield "encoding/overlong", good + b"# \xc0\xaf"
    yield "encoding/surrogate-bytes", good + b"# \xed\xa0\x80"
    yield "encoding/beyond-unicode", good + b"# \xf4\x90\x80\x80"
    yield "encoding/png", b"\x89PNG\r\n\x1a\n" + bytes(64)
    yield "encoding/zip", b"PK\x03\x04" + bytes(64)
    yield "encoding/pickle", b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."
    yield "encoding/second-mark", b"\xef\xbb\xbf\xef\xbb\xbf" + good
    yield "encoding/mark-inside", net("relu\ufeff")
    for code in (0x00, 0x01, 0x07, 0x08, 0x0B, 0x0C, 0x1A, 0x1B, 0x7F, 0x85, 0x9B):
        yield f"encoding/control-{code:02x}-in-code", net(f"relu{chr(code)}")
        yield f"encoding/control-{code:02x}-in-comment", net(f"relu  # {chr(code)}")
    for code in (0x00, 0x1B, 0x9B):
        yield f"encoding/control-{code:02x}-in-string", net(f'assert 1 == 1, "{chr(code)}[2J"\nrelu')
    for code in (0x61C, 0x200E, 0x202A, 0x202E, 0x2066, 0x2069):
        yield f"encoding/bidi-{code:04x}", net(f"relu  # {chr(code)} desrever")
    for code in (0xAD, 0x200B, 0x2028, 0x2029, 0x2060, 0xFEFF, 0xE0041):
        yield f"encoding/unseen-{code:04x}", net(f"re{chr(code)}lu")
    for name, word in {
        "cyrillic": "r\u0435lu", "greek": "\u03c9", "fullwidth": "\uff52elu", "mathematical": "\U0001d42aelu",
        "combining": "e\u0301", "mark-alone": "\u05a9", "ligature": "\ufb01x", "no-break-space": "relu\u00a0",
        "ideographic-space": "\u3000relu",
        "emoji": "\U0001f600", "vertical-quote": "\u2018a\u2019",
    }.items():
        yield f"encoding/{name}", net(f"y = x -> relu\n{word}")
    yield "encoding/arabic-digits", net("y = conv(\u0668, 3x3)")
    yield "encoding/superscript", net("k = 2\u00b2")
    yield "encoding/minus-sign", net("k = \u22121")


def _sizes() -> Iterator[tuple[str, str]]:
    yield "size/million-and-more-characters", net("relu") + "#" * (1 << 20)
    yield "size/many-words", net("y = relu(" + ",".join(["1"] * 60_000) + ")")
    yield "size/many-lines", net(_lines("relu", 30_000))
    yield "size/many-comments", "# a\n" * 60_000 + net("relu")
    yield "size/many-blank-lines", "\n" * 900_000 + net("relu")
    yield "size/signs", net("y = " + "-" * 100_000 + "1")
    yield "size/brackets", net("(" * 500_000)
    yield "size/one-name", net("a" * 900_000)
    yield "size/one-number", net("k = " + "9" * 900_000)
    yield "size/one-float", net("k = 0." + "9" * 900_000)
    yield "size/one-exponent", net("k = 1e" + "9" * 900_000)
    yield "size/one-size", net("k = 3x" + "9" * 900_000)
    yield "size/one-quantity", net("relu") + "network M:\n    expect params:\n        - " + "9" * 90_000 + "M\n"
    yield "size/one-string", net('assert 1 == 1, "' + "a" * 900_000 + '"\nrelu')
    yield "size/open-string", net('assert 1 == 1, "' + "a" * 900_000)
    yield "size/backslashes", net('assert 1 == 1, "' + "\\" * 900_000)
    yield "size/quotes", net("y = " + '"' * 40_001)
    yield "size/spaces", net(" " * 900_000 + "relu")
    yield "size/tabs", net("\t" * 900_000 + "relu")
    yield "size/deep-indentation", "network N:\n" + " " * 900_000 + "relu\n"
    yield "size/arrows", net("x " + "-> relu " * 9_000)
    yield "size/underscores", net("k = 1" + "_1" * 40_000)
    yield "size/times", net("k = 1" + "x1" * 40_000)
    yield "size/dots", net("x" + "." * 40_000)


def _depths() -> Iterator[tuple[str, str]]:
    yield "depth/brackets", net("k = " + "(" * 65 + "1" + ")" * 65)
    yield "depth/square-brackets", net("k = " + "[" * 65 + "1" + "]" * 65)
    yield "depth/braces", net("a{" * 65 + "1" + "}" * 65 + " = relu")
    yield "depth/mixed-brackets", net("k = " + "([" * 33 + "1" + "])" * 33)
    yield "depth/shape-brackets", net("relu : B " + "(" * 65 + "h" + ")" * 65)
    yield "depth/sum", net("k = 1" + " + 1" * 100)
    yield "depth/long-sum", net("k = 1" + " + 1" * 10_000)
    yield "depth/power", net("k = 1" + " ** 1" * 100)
    yield "depth/minus", net("k = " + "-" * 101 + "1")
    yield "depth/not", net("k = " + "not " * 101 + "True")
    yield "depth/complement", net("attend(1, over=" + "~" * 101 + "dense)", IDS)
    yield "depth/conditional", net("k = " + "1 if True else " * 100 + "2")
    yield "depth/attributes", net("y = x" + ".a" * 100)
    yield "depth/items", net("y = x" + "[0]" * 100)
    yield "depth/calls", net("y = relu" + "()" * 100)
    yield "depth/and", net("k = True" + " and True" * 100)
    yield "depth/tensor-sum", net("y = x" + " + x" * 100)
    yield "depth/shape-sum", net("relu : B C H W" + "+1" * 101)
    yield "depth/shape-product", net("relu : B C H " + "1*" * 101 + "W")
    yield "depth/shape-quotient", net("relu : B C H W" + "/1" * 101)
    yield "depth/shape-segment", net("relu : B (h" + "*1" * 101 + ") C")
    yield "depth/port", "network N:\n    input x: B C H" + "+1" * 101 + "\n    relu\n"
    bodies = {"scopes": "s:", "residuals": "residual:", "repeats": "repeat 1:", "branches": "if True:"}
    for word, line in bodies.items():
        body = "\n".join("    " * i + line for i in range(70)) + "\n" + "    " * 70 + "relu"
        yield f"depth/{word}", net(body)
    yield "depth/regions", net("\n".join("    " * i + "s:" for i in range(50)) + "\n" + "    " * 50 + "relu")
    yield "depth/blocks", net("B0", above="".join(
        f"block B{i}:\n    input x: B C H W\n    B{i + 1}\n" for i in range(40)
    ) + "block B40:\n    input x: B C H W\n    relu\n")
    yield "depth/derived", "".join(f"network A{i} = A{i + 1}\n" for i in range(40)) + (
        "network A40:\n    input x: B C\n    relu\n")
    yield "depth/cut-file", "network N:\n" + "".join("    " * (i + 1) + "s:\n" for i in range(60))


def _syntax() -> Iterator[tuple[str, str]]:
    for name, body in {
        "open-round": "y = relu(", "open-square": "k = [1, 2", "open-brace": "a{1 = relu", "open-string": 'y = "a',
        "close-round": "y = relu)", "close-square": "k = 1]", "close-brace": "a1} = relu", "crossed": "k = [(1])",
        "two-equals": "a = = b", "semicolon": "a = relu; b = relu", "backslash": "a = \\\n1", "dollar": "$a = relu",
        "at": "@relu", "percent": "%relu", "ampersand": "&x", "exclamation": "!x", "star-args": "relu(*x)",
        "double-star-args": "relu(**x)", "lambda": "y = lambda x: x", "f-string": 'y = f"{x}"', "bytes": "y = b'a'",
        "triple-quotes": 'y = """a"""', "walrus": "(y := x)", "comprehension": "k = [i for i in x]",
        "dict": "k = {1: 2}",
        "while": "while True:\n    relu", "import": "import os", "from": "from os import system", "exec": "exec code",
        "del": "del x", "global": "global x", "try": "try:\n    relu", "class": "class A:\n    relu",
        "def": "def f(x):\n    relu", "hash-bang": "#!/bin/sh\n$(rm -rf x)", "jinja": "{{ x }}", "shell": "`ls`",
        "html": "<script>alert(1)</script>", "only-arrow": "->", "only-colon": ":", "only-dot": ".", "only-bar": "|",
    }.items():
        yield f"syntax/{name}", net(body)
    yield "syntax/nothing", "network"
    yield "syntax/no-body", "network N:"
    yield "syntax/no-name", "network:\n    input x: B\n"
    yield "syntax/json", '{"network": "N"}'
    yield "syntax/python", "import os\nos.system('ls')\n"
    yield "syntax/yaml", "!!python/object/apply:os.system ['ls']\n"
    yield "syntax/xml", '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>\n'
    yield "syntax/many-definitions", _lines("network N{i}:\n    input x: = B", 3000) + "\n"
    yield "syntax/many-errors-in-one", net(_lines("c{i} = conv(8, 3x3)", 2000) + "\n" + "a = = 3\n" * 20)
    yield "syntax/last-line", net(_lines("c{i} = conv(8, 3x3)", 4000) + "\na = = 3")


def _numbers() -> Iterator[tuple[str, str]]:
    for name, value in {
        "tower": "10 ** 10 ** 10", "tower-mod": "10 ** 10 ** 7 % 3", "deep-tower": "2 ** 2 ** 2 ** 2 ** 2 ** 2",
        "just-over": "2 ** 63", "product": "9223372036854775807 * 2", "sum": "9 * 10 ** 18 + 9 * 10 ** 18",
        "negative": "-(2 ** 62) * 4", "huge-float": "10.0 ** 400", "float-product": "1e308 * 10", "digits": "1" * 19,
        "float-digits": "0." + "1" * 30, "large-literal": "1e400", "modulo-zero": "5 % 0", "quotient-zero": "5 // 0",
        "division-zero": "5 / 0", "root": "(-1) ** 0.5", "log": "log(0)", "sqrt": "sqrt(-1)", "exp": "exp(1e6)",
        "int": "int(1e300)", "floor": "floor(1e300)", "round-to": "round_to(5, 0)", "round-huge": "round_to(1e300, 3)",
        "power-of-size": "(H + 1) ** 64", "negative-power": "0 ** -1",
        "sum-of-strings": '"a" * 99999999', "format": '"%s" % x', "max-of-none": "max([])", "sin": "sin(1e400)",
        "bool-arithmetic": "True + 1", "string-number": '"5" + 1', "free-quotient": "H / 7 * W / 11",
    }.items():
        yield f"number/{name}", net(f"k = {value}\nrelu")
    yield "number/squares", net("a0 = 3\n" + _lines("a{j} = a{i} * a{i}", 40))
    yield "number/polynomials", net("a0 = H + W + 1\n" + _lines("a{j} = a{i} * a{i}", 40))
    yield "number/floors", net("a0 = H\n" + _lines("a{j} = (a{i} * W + {i}) // (a{i} + 3)", 40))
    yield "number/lists-doubled", net("a0 = [1, 2, 3, 4]\n" + _lines("a{j} = a{i} + a{i}", 40))
    yield "number/lists-nested", net("a0 = [1, 2, 3, 4]\n" + _lines("a{j} = [a{i}, a{i}, a{i}]", 40))
    yield "number/long-list", net("k = [" + "1, " * 4096 + "1]")


def _repeats() -> Iterator[tuple[str, str]]:
    yield "repeat/million", net("repeat 1000000:\n    relu")
    yield "repeat/enormous", net("repeat 999999999999999999:\n    relu")
    yield "repeat/computed", net("repeat 10 ** 9:\n    relu")
    yield "repeat/negative", net("repeat -1:\n    relu")
    yield "repeat/half", net("repeat 1.5:\n    relu")
    yield "repeat/size", net("repeat H:\n    relu")
    yield "repeat/tensor", net("repeat x:\n    relu")
    yield "repeat/string", net('repeat "999":\n    relu')
    yield "repeat/truth", net("repeat True:\n    relu")
    yield "repeat/nested-nodes", net("repeat 10000:\n    repeat 10000:\n        relu")
    yield "repeat/nested-constants", net("repeat 10000:\n    repeat 10000:\n        k = 1")
    yield "repeat/nested-nothing", net("repeat 10000:\n    repeat 10000 as i:\n        if i > 10000:\n            relu")
    yield "repeat/nested-mistakes", net(
        "repeat 10000:\n    repeat 10000 as k:\n        if i > 10000:\n            relu")
    yield "repeat/nested-four", net(
        "repeat 99:\n    repeat 99:\n        repeat 99:\n            repeat 99:\n                relu")
    yield "repeat/nested-lists", net("repeat 9999 as i:\n    k{i} = [" + "1, " * 4000 + "1]\nrelu")
    yield "repeat/blocks-double", net("B0", above="".join(
        f"block B{i}:\n    input x: B C H W\n    B{i + 1}\n    B{i + 1}\n" for i in range(25)
    ) + "block B25:\n    input x: B C H W\n    relu\n")
    yield "repeat/blocks-repeated", net("B0", above="".join(
        f"block B{i}:\n    input x: B C H W\n    repeat 99:\n        B{i + 1}\n" for i in range(8)
    ) + "block B8:\n    input x: B C H W\n    relu\n")
    yield "repeat/widening", net("repeat 70 as i:\n    _, _ -> concat")
    yield "repeat/doubling-segments", net("repeat 70:\n    _, _ -> concat", "input x: B N 8")
    yield "repeat/upsampling", net("upsample(2147483647)\nupsample(2147483647)", "input x: B 8 9 9")
    yield "repeat/presets", ("network N(w):\n    presets w:\n" + "".join(f"        p{i} {i + 1}\n" for i in range(1500))
                            + "    input x: B 8 H W\n    repeat 1000:\n        relu\n")
    yield "repeat/nodes-one-over", net("repeat 10000:\n    relu")


def _definitions() -> Iterator[tuple[str, str]]:
    yield "definition/self", net("A", above="block A:\n    input x: B C H W\n    A\n")
    yield "definition/mutual", net(
        "A", above="block A:\n    input x: B C H W\n    B\nblock B:\n    input x: B C H W\n    A\n")
    yield "definition/by-parameter", net("A", above="block A(f: op = A):\n    input x: B C H W\n    f\n")
    yield "definition/by-argument", net("A(A)", above="block A(f: op):\n    input x: B C H W\n    f(f=f)\n")
    yield "definition/growing", net("A(relu)", above="block A(f: op):\n    input x: B C H W\n    A(f=A(f=f))\n")
    yield "definition/network-self", net("N")
    yield "definition/derived-self", "network A = A\n"
    yield "definition/derived-preset-self", "network A = A.S(depth=1)\n"
    for length in (2, 3, 7, 31):
        names = [f"A{i}" for i in range(length)]
        yield f"definition/derived-circle-{length}", "".join(
            f"network {a} = {b}\n" for a, b in zip(names, [*names[1:], names[0]], strict=True))
    yield "definition/derived-from-op", "network A = relu\n"
    yield "definition/derived-from-number", "network A = 1\n"
    yield "definition/derived-from-block", "block B:\n    input x: B C\n    relu\nnetwork A = B\n"
    yield "definition/twice", "network N:\n    input x: B\n    relu\n" * 2000
    yield "definition/pattern-self", net("attend(1, over=p)", GRID, "pattern p:\n    allow p\n")
    yield "definition/preset-of-self", "network N(w=N.S):\n    presets w:\n        S 1\n    input x: B C\n    relu\n"
    yield "definition/default-of-itself", "network N(w=w):\n    input x: B C\n    relu\n"
    yield "definition/no-input", "network N:\n    relu\n"
    yield "definition/many-unknown", net(_lines("a{i} = b{i} + 1", 2000))
    yield "definition/many-alike", net(
        _lines("abcdefgh{i} = relu", 1500) + "\n" + _lines("k{i} = abcdefgj{i} + 1", 1500))
    yield "definition/library-that-is-not-there", "from os import system\n" + net("relu")
    yield "definition/library-path", "from std.__init__ import x\n" + net("relu")
    yield "definition/relative-without-place", "from ...etc.passwd import root\n" + net("relu")
    yield "definition/many-imports", _lines("from vit import ViT as V{i}", 200) + "\nfrom nowhere import X\n"


def _names() -> Iterator[tuple[str, str]]:
    for word in ("__class__", "__dict__", "__init__", "__getattr__", "__reduce__", "__", "forward", "state_dict", "to",
                 "eval", "children", "register_buffer", "_modules", "_parameters", "_buffers", "_version", "graph",
                 "code", "meta", "type", "float", "lambda", "class", "def", "import", "async", "yield", "del"):
        yield f"name/op-{word}", net(f"{word} = x -> conv(8, 3x3)")
    for word in ("__class__", "forward", "training", "_modules", "lambda"):
        yield f"name/scope-{word}", net(f"{word}:\n    a = conv(8, 3x3)")
        yield f"name/repeat-{word}", net(f"repeat 2 as {word}[i]:\n    conv(8, 3x3)")
    for word in ("training", "_", "None"):
        yield f"name/reserved-{word}", net(f"{word} = 1\nrelu")
    yield "name/long", net("a" * 129 + " = relu")
    yield "name/long-parameter", f"network N({'a' * 129}=1):\n    input x: B C\n    relu\n"
    yield "name/long-letter", f"network N:\n    input x: B {'C' * 129}\n    relu\n"
    yield "name/long-import", f"from vit import ViT as {'A' * 129}\n"
    yield "name/long-in-attribute", net("y = x." + "a" * 129)
    yield "name/made-negative", net("a{-1} = relu")
    yield "name/made-float", net("a{1.5} = relu")
    yield "name/made-string", net('a{"b"} = relu')
    yield "name/dunder-attribute", net("y = x.__class__")
    yield "name/dunder-chain", net("y = x.__class__.__mro__[1].__subclasses__()")
    yield "name/dunder-op", net("__import__")
    yield "name/builtin-call", net('y = open("/etc/passwd")')
    yield "name/builtin-eval", net('y = eval("1")')
    yield "name/torch", net("torch.load")
    yield "name/setting-dunder", net("a = conv(8, __class__=1)")
    yield "name/setting-self", net("a = conv(self=8)")
    yield "name/pydantic-setting", net("a = conv(8, model_config=1)")
    yield "name/preset-dunder", "network N(w=1):\n    input x: B C\n    relu\nnetwork M = N.__class__\n"


def _keys() -> Iterator[tuple[str, str]]:
    for name, key in {
        "dunder": "__class__.x", "forward": "forward", "inside": "a.forward.b", "modules": "_modules.a", "empty": "",
        "root": "/", "empty-part": "a..b", "end-point": "a.b.", "first-point": ".a", "points": "..", "path": "../../x",
        "absolute": "/etc/passwd", "slash": "a/b", "space": "a b", "tab": "a\tb", "quote": "a'b", "tag": "<b>",
        "percent": "%s", "format": "{0.__class__}", "open-brace": "{i", "empty-brace": "{}", "shell": "$(ls)",
        "semicolon": "a;b", "backslash": "a\\nb", "accent": "état", "cyrillic": "\u0430", "keyword": "a.lambda",
        "tensor": "{x}", "double-brace": "{{x}}", "long": "a" * 1025, "many-parts": ".".join("a" * 65),
        "very-long": "a" * 60_000,
    }.items():
        yield f"key/{name}", net(f'a = conv(8) as "{key}"')
    yield "key/long-string", net('a = conv(8) as "' + "a" * 70_000 + '"')
    yield "key/twice", net('a = conv(8) as "k"\nb = conv(8) as "k"')
    yield "key/prefix-is-weight", net('a = learned(8)\nb = x -> conv(8) as "a.b"\nb + a')
    yield "key/repeated", net('repeat 3:\n    a = conv(8) as "k"')


def _shapes() -> Iterator[tuple[str, str]]:
    for name, head in {
        "zero": "B 0 H W", "huge-axis": "B 2147483648 H W", "digits": "B " + "9" * 19, "many-axes": "B C D E F G H",
        "letters": " ".join(f"A{i}" for i in range(3000)), "rest": "B ... ...", "negative": "B C H-9 W",
        "two-pins": "B H=1 H=2 W",
    }.items():
        yield f"shape/port-{name}", f"network N:\n    input x: {head}\n    relu\n"
    yield "shape/weight", net("y = linear(2000000000)", "input x: B 2000000000 2000000000 2000000000")
    yield "shape/learned", net("y = learned(99999999, 99999999, 99999999)\nx", "input x: B 8")
    yield "shape/activation", net("relu", "input x: B 2147483647 2147483647 2147483647 2147483647")
    yield "shape/kernel", net("y = conv(8, 2147483647x2147483647)")
    yield "shape/kernel-literal", net("y = conv(8, 999999999999x3)")
    yield "shape/vanishing", net("max_pool(9999)", "input x: B 8 9 9")
    yield "shape/product", net("relu : B C H " + "*".join(["W"] * 90))
    yield "shape/power", net("relu : B C H W**99")
    yield "shape/power-tower", net("relu : B C H 9**9**9")
    yield "shape/large-power", net("relu : B C H 99999999999**99999999999")
    yield "shape/wide", net("relu : " + "B " * 20_000)
    yield "shape/wide-group", net("relu : B (" + "h " * 20_000 + ") C")
    yield "shape/segments", net("relu : B (" + " + ".join(["1"] * 5_000) + ") C")
    yield "shape/division-by-zero", net("relu : B C H W/0")
    yield "shape/broken", net("relu : B 9 H W")
    yield "shape/parts", net("split([" + "1, " * 4000 + "1])")
    yield "shape/split", net("split(100000)")
    yield "shape/guards-primes", net("\n".join(
        f"assert H % {p} == 0" for p in range(2, 3000) if all(p % q for q in range(2, int(p**0.5) + 1))))
    yield "shape/guards-unequal", net("\n".join(f"assert H * W != {i} * H + {i}" for i in range(1100)))
    yield "shape/guards-bounds", net("\n".join(f"assert H > {i}" for i in range(2000)))
    yield "shape/contradiction", net("assert H > 5\nassert H < 3\nrelu")


def _tables() -> Iterator[tuple[str, str]]:
    def table(columns: str, rows: str, params: str = "w=1") -> str:
        return f"network N({params}):\n    presets {columns}:\n{rows}    input x: B C\n    relu\n"

    yield "table/no-such-column", table("v", "        S 1\n")
    yield "table/column-twice", table("w w", "        S 1 1\n")
    yield "table/short-row", table("w", "        S 1\n        M 1 2\n")
    yield "table/row-twice", table("w", "        S 1\n        S 2\n")
    yield "table/many-columns", table(" ".join(f"v{i}" for i in range(5000)), "        S " + "1 " * 5000 + "\n")
    yield "table/wide-row", table("w", "        S " + "1 " * 20_000 + "\n")
    yield "table/dunder-row", table("w", "        __class__ -\n        S relu\n")
    yield "table/huge-cell", table("w", "        S " + "9" * 19 + "\n")
    yield "table/huge-quantity", table("w", "        S 999999999999T\n")
    yield "table/tower-cell", table("w", "        S [10 ** 10 ** 10]\n")
    yield "table/many-wrong-cells", table("w", "".join(f"        p{i} relu\n" for i in range(2000)))
    yield "table/expect-no-figure", "network N:\n    expect speed:\n        - 1\n    input x: B C\n    relu\n"
    yield "table/expect-no-row", "network N:\n    expect params:\n        S 1\n    input x: B C\n    relu\n"
    yield "table/expect-wrong", "network N:\n    expect params:\n        - 86M\n    input x: B C\n    relu\n"
    yield "table/expect-wrong-often", "".join(
        f"network N{i}(w={i + 8}):\n    expect params digest:\n        - 7 \"0\"\n    input x: B 8 H W\n"
        f"    c = conv(w)\n" + "    relu\n" * 40 for i in range(200))
    yield "table/expect-many", ("network N:\n    expect params:\n" + "        - 1\n" * 3000
                               + "    input x: B C\n    relu\n")
    params = ", ".join(f"p{i}=nothing" for i in range(3000))
    yield "table/parameters", f"network N({params}):\n    input x: B C\n    relu\n"


def _patterns() -> Iterator[tuple[str, str]]:
    for name, over in {
        "window-zero": "window(0)", "window-huge": "window(99999999999)", "sliding-even": "sliding(4)",
        "strided-zero": "strided(0)", "random-negative": "random(-1)", "axial-unknown": 'axial("diagonal")',
        "mechanism-in-set": "linformer(4) | dense", "number": "7", "string": '"dense"', "tensor": "x",
        "unknown": "everything", "too-large": "sliding(7) | random(3) - axial(\"row\")",
    }.items():
        head = "input x: B (h=46000 w=46000) 8" if name == "too-large" else GRID
        yield f"pattern/{name}", net(f"attend(1, over={over})", head)
    for name, allow in {
        "division": "q.index // (k.index - k.index) == 0", "field": "q.__class__ == 0",
        "huge": "q.index ** 9 ** 9 == 1",
        "counted": "q.index * k.index % 1009 < 7", "nested-quantifier": "(q.index + k.index) ** 64 % 3 == 0",
        "number": "q.index + k.index", "string": 'q.index == "a"', "tensor": "x", "name": "nothing > 1",
    }.items():
        head = "input x: B (h=512 w=512) 8" if name == "counted" else GRID
        yield f"pattern/allow-{name}", net("attend(1, over=p)", head, f"pattern p:\n    allow {allow}\n")


def _settings() -> Iterator[tuple[str, str]]:
    for name, line in {
        "heads-zero": "attend(0)", "heads-huge": "attend(999999999)", "conv-zero": "c = conv(0)",
        "conv-negative": "c = conv(-8)",
        "conv-float": "c = conv(8.5)", "conv-string": 'c = conv("8")', "conv-list": "c = conv([8])",
        "conv-none": "c = conv(None)",
        "conv-tensor": "c = conv(x)", "conv-huge": "c = conv(9999999999)", "conv-groups": "c = conv(8, 3x3, groups=0)",
        "conv-stride": "c = conv(8, 3x3, stride=0)", "conv-pad": "c = conv(8, 3x3, pad=-5)", "dropout": "dropout(7)",
        "eps": "c = layernorm(eps=-1)", "twice": "c = conv(8, size=3x3, size=1x1)",
        "many": "c = conv(" + "8, " * 50 + "8)",
        "reshape": "upsample(0)", "pool-zero": "max_pool(0)", "unknown": "c = conv(8, device=\"cuda\")",
        "path": 'c = conv(8, init="/etc/passwd")', "url": 'c = conv(8, init="http://a.b")',
    }.items():
        yield f"setting/{name}", net(line)


HOSTILE = (
    '"""; import os; os.system("ls")  #', "'); exec('x", "<script>alert(1)</script>", "]]><svg onload=x>", "\\n\\u0000",
    "{x!r:>{w}}", "${HOME}", "%(x)s", "</title>", "`ls`", "\\\\", "a\\", "&amp;", "[link](javascript:x)",
)


def _injections() -> Iterator[tuple[str, str]]:
    for i, words in enumerate(HOSTILE):
        words = words.replace('"', "'")
        yield f"injection/assert-{i}", net(f'assert 8 == 9, "{words}"\nrelu')
        yield f"injection/setting-{i}", net(f'c = conv(8, init="{words}")')
