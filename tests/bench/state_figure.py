# SPDX-License-Identifier: Apache-2.0
"""The picture of what an insert into a set costs, by the set's size; from the figures of state_cost.c.

state_figure.py BENCH.json OUT.svg draws it anew from what scripts/bench --json wrote."""

import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 800, 340, 70, 60, 64, 60


def svg(points: list, note: str) -> str:
    """points: dicts with elements and insert_us."""
    most = max(1.0, 1.25 * max(point["insert_us"] for point in points))
    decades = max(1.0, math.log10(points[-1]["elements"]) - 1)
    places = [(LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(point["elements"]) - 1) / decades,
               HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * point["insert_us"] / most, point) for point in points]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif" font-size="13" fill="#1f2933">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           '<text x="16" y="26" font-size="16">One insert into a set, by how many elements it has</text>',
           '<text x="16" y="46" fill="#52606d">microseconds of processor time, in transactions of 100</text>',
           f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}" stroke="#9aa5b1"/>',
           '<polyline fill="none" stroke="#2f7d8c" stroke-width="2" points="'
           + " ".join(f"{x:.0f},{y:.0f}" for x, y, _ in places) + '"/>']
    for x, y, point in places:
        out.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="4" fill="#2f7d8c"/>')
        out.append(f'<text x="{x:.0f}" y="{y - 12:.0f}" text-anchor="middle">{point["insert_us"]:.1f}</text>')
        out.append(f'<text x="{x:.0f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{point["elements"]:,}</text>')
    out.append(f'<text x="16" y="{HEIGHT - 12}" fill="#52606d" font-size="11">{note}</text>')
    return "\n".join(out + ["</svg>", ""])


def main() -> int:
    result = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(svg(result["state"]["set"], f'scripts/bench, {result["when"]}'), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
