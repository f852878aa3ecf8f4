# SPDX-License-Identifier: Apache-2.0
"""The picture of scripts/bench: for each load a bar a level, as shares of the same broker without the plugin; and for
each kind of payload what the link carried, beside a bridge."""

from xml.sax.saxutils import escape

WIDTH, ROW, BAR, LEFT, RIGHT = 800, 104, 18, 150, 220
WIRE_ROW = 52
COLOURS = {"none": "#9aa5b1", "process": "#2f7d8c", "group": "#6b5b95", "strict": "#c0692b"}
NAMES = {"none": "without plugin", "process": "process", "group": "group", "strict": "strict"}


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{escape(words)}</text>'


LOADS = {"live": "JSON, live", "backlog": "JSON, backlog", "noise": "noise, live", "noise_backlog": "noise, backlog"}


def svg(cells: list, note: str, wire: dict = None) -> str:
    """An SVG document. cells: as measure.rates gives them; wire: as wire.beside_bridge does."""
    loads = [load for load in LOADS if load in (wire or {})]
    bars = 64 + ROW * len(cells)
    height = bars + (40 + len(loads) * WIRE_ROW if loads else 0) + 34
    most = max(figures["ratio"]["max"] for cell in cells for figures in cell["variants"].values())
    scale = (WIDTH - LEFT - RIGHT) / max(1.0, most)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
           f'height="{height}" font-family="sans-serif" font-size="13" fill="#1f2933">',
           f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
           text(16, 26, "Messages a second that Mosquitto acknowledges (QoS 1)", 'font-size="16"'),
           text(16, 46, "share of the same broker without the plugin; thin line: least and most of all rounds",
                'fill="#52606d"')]
    for row, cell in enumerate(cells):
        top = 64 + row * ROW
        word = "publisher" if cell["publishers"] == 1 else "publishers"
        out.append(text(16, top + 34, f'{cell["bytes"]} B payload'))
        out.append(text(16, top + 52, f'{cell["publishers"]} {word}', 'fill="#52606d"'))
        for index, (variant, figures) in enumerate(cell["variants"].items()):
            out += bar(top + 4 + index * (BAR + 5), variant, figures, scale)
    out.append(f'<line x1="{LEFT + scale:.0f}" x2="{LEFT + scale:.0f}" y1="62" y2="{bars}" '
               'stroke="#9aa5b1" stroke-dasharray="3 3"/>')
    if loads:
        out += wire_bars(bars + 20, {load: wire[load] for load in loads})
    out.append(text(16, height - 12, note, 'fill="#52606d" font-size="11"'))
    return "\n".join(out + ["</svg>", ""])


def wire_bars(top: float, wire: dict) -> list:
    """Bytes on the link per payload byte, ours above the bridge's."""
    out = [text(16, top, "Bytes on the link per payload byte, both ways, TLS included", 'font-size="16"')]
    most = max(max(w["per_payload_byte"], w["bridge"]["per_payload_byte"]) for w in wire.values())
    scale = (WIDTH - LEFT - RIGHT) / max(1.0, most)
    for row, (load, figures) in enumerate(wire.items()):
        y = top + 14 + row * WIRE_ROW
        out.append(text(16, y + 20, LOADS[load]))
        for index, (who, value) in enumerate((("tombolo", figures["per_payload_byte"]),
                                              ("Mosquitto bridge", figures["bridge"]["per_payload_byte"]))):
            at, colour = y + index * (BAR + 3), COLOURS["none" if index else "process"]
            out += [f'<rect x="{LEFT}" y="{at:.0f}" width="{max(1.0, value * scale):.1f}" height="{BAR}" fill="{colour}"/>',
                    text(LEFT + value * scale + 8, at + 14, f"{who}: {value:.2f}")]
    return out


def bar(y: float, variant: str, figures: dict, scale: float) -> list:
    ratio, middle = figures["ratio"], y + BAR / 2
    wide = max(1.0, ratio["median"] * scale)
    label = f'{NAMES[variant]}: {figures["rate"]["median"]:,.0f}/s'
    if variant != "none":
        label += f' ({ratio["median"]:.2f})'
    least, most = LEFT + ratio["min"] * scale, LEFT + ratio["max"] * scale
    return [f'<rect x="{LEFT}" y="{y:.0f}" width="{wide:.1f}" height="{BAR}" fill="{COLOURS[variant]}"/>',
            f'<line x1="{least:.1f}" x2="{most:.1f}" y1="{middle:.0f}" y2="{middle:.0f}" stroke="#1f2933"/>',
            text(max(most, LEFT + wide) + 8, y + 14, label)]
