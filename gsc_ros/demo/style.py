# Copyright 2026 The gsc_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The style sheet of the page about a run, for light and dark."""

STYLE = """
:root { --page: #f5f6f8; --card: #fff; --ink: #1b1f27; --muted: #727b8a; --line: #e1e4ea;
  --accent: #2463eb; --warm: #e07b1a; --good: #17854a; --bad: #c92f2f; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1d2026; --ink: #e8eaee;
  --muted: #969eab; --line: #30353e; --accent: #6d9cff; --warm: #f2a154; --good: #4cc38a;
  --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 34px; line-height: 1.15; margin: 0 0 10px; letter-spacing: -0.02em; }
h2 { font-size: 20px; margin: 44px 0 12px; } h3 { font-size: 14px; margin: 0 0 6px; }
.kicker { margin: 0 0 6px; color: var(--accent); font-weight: 600; }
.lead { max-width: 860px; margin: 0; color: var(--muted); font-size: 16px; }
.note, .empty { color: var(--muted); font-size: 13px; }
code, pre { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, "Liberation Mono", monospace;
  overflow-wrap: anywhere; }
pre { padding: 14px 16px; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; overflow-x: auto; }
a { color: var(--accent); }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px;
  margin-top: 28px; }
.tile, .chart, table { background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
.tile { padding: 14px 16px; } .tile h2 { margin: 0; font-size: 13px; font-weight: 600;
  color: var(--muted); }
.tile strong { display: block; font-size: 25px; letter-spacing: -0.02em; margin: 2px 0; }
.tile p { margin: 0; font-size: 13px; color: var(--muted); }
.tile.good p { color: var(--good); } .tile.bad p { color: var(--bad); font-weight: 700; }
video { width: 100%; max-width: 960px; display: block; margin: 0 auto; border-radius: 10px;
  background: #000; }
section > video + .note { text-align: center; }
.views { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); gap: 12px;
  margin-bottom: 14px; }
.views.pairs { grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); margin-bottom: 36px; }
figure { margin: 0; } figure img { width: 100%; display: block; border-radius: 6px; }
figcaption { display: flex; justify-content: space-between; gap: 12px; font-size: 13px;
  padding: 4px 2px; } figcaption span { color: var(--muted); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 12px; }
.chart { padding: 14px 16px; } svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--muted); } svg text.label { fill: var(--ink); }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--muted); }
svg line.limit { stroke: var(--bad); stroke-dasharray: 5 4; stroke-width: 1.5; }
svg text.limit { fill: var(--bad); font-weight: 600; }
.legend { display: flex; gap: 16px; font-size: 12px; color: var(--muted); }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px;
  margin-right: 6px; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 12px;
  align-items: start; } .tables table + table { margin-top: 12px; }
table { width: 100%; border-collapse: separate; border-spacing: 0; font-size: 13.5px;
  font-variant-numeric: tabular-nums; overflow: hidden; }
th, td { padding: 6px 12px; text-align: right; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--muted); font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
summary { cursor: pointer; font-weight: 600; margin: 36px 0 12px; }
@media (max-width: 900px) { .tiles { grid-template-columns: repeat(2, 1fr); }
  .charts, .tables { grid-template-columns: 1fr; } }
"""
