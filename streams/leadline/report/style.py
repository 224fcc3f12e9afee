"""How the page looks."""

STYLE = """
:root{--paper:#fff;--ink:#1c2430;--soft:#5b6675;--rule:#dfe3e8;--blue:#1f6fb2;--orange:#b35a00;
  --green:#20794a;--violet:#6b4fa0;--red:#b3261e;--usual0:#eef0f3;--usual1:#dde1e7;--usual2:#c3cad4;
  --drift2:#f2b8a8;--drift3:#de6f57;--drift4:#a8231b;color-scheme:light dark}
@media (prefers-color-scheme:dark){
:root{--paper:#14181e;--ink:#e4e8ee;--soft:#9aa6b4;--rule:#2b323c;--blue:#6db3ee;--orange:#f0a050;
  --green:#62c48d;--violet:#b39ae6;--red:#ff8a80;--usual0:#1f252d;--usual1:#2a323c;--usual2:#3d4855;
  --drift2:#6e2f26;--drift3:#b8503f;--drift4:#ff9a86}
}
@media print{
:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#ccc;--blue:#1f6fb2;--orange:#b35a00;--green:#20794a;
  --violet:#6b4fa0;--red:#b3261e;--usual0:#eef0f3;--usual1:#dde1e7;--usual2:#c3cad4;--drift2:#f2b8a8;
  --drift3:#de6f57;--drift4:#a8231b}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
body{background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:980px;
  margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}
h1{font-size:1.7rem;margin:0}
h2{font-size:1.25rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--rule)}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
.about,figcaption{color:var(--soft);margin:.2rem 0}
figcaption{font-size:.85rem;max-width:60rem}
figure{margin:0 0 1.4rem;min-width:0}
svg{display:block;width:100%;height:auto}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:1.5rem}
.wide,figure{overflow-x:auto}
.long{min-width:620px}
.incidents td:last-child{min-width:14rem}
table{border-collapse:collapse;font-size:.85rem;width:100%}
th,td{text-align:left;vertical-align:top;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--rule)}
th{color:var(--soft);font-weight:600}
td:last-child,h1,h2{overflow-wrap:anywhere}
th,.nowrap{white-space:nowrap}
tr.open td:nth-child(2){color:var(--red);font-weight:600}
tr.over td{color:var(--soft)}
text{fill:var(--ink);font:11px system-ui,sans-serif}
.tick{fill:var(--soft);font-size:10.5px}
.axis{fill:var(--soft)}
.name{font-weight:600;font-size:12px}
.feature{font-size:11px}
.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}
.band,.bars{stroke:none;opacity:.28}
.bars{opacity:.6}
.line.realised,.bar{stroke:var(--blue)}
.line.estimated{stroke:var(--orange)}
.line.nowcast{stroke:var(--green)}
.line.labels{stroke:var(--violet)}
.line.of-reference{stroke:var(--soft);stroke-width:1.2}
.band.realised{fill:var(--blue)}
.band.estimated{fill:var(--orange)}
.band.nowcast{fill:var(--green)}
.band.labels,.bars.labels{fill:var(--violet)}
text.realised{fill:var(--blue)}
text.estimated{fill:var(--orange)}
text.nowcast{fill:var(--green)}
text.labels{fill:var(--violet)}
.reference{stroke:var(--soft);stroke-dasharray:6 4}
.limit{stroke:var(--red);stroke-dasharray:2 3}
.dot{fill:var(--blue)}
.bar{stroke-width:1.5}
.incident{fill:var(--red)}
.early{fill:var(--orange);opacity:.7}
.usual0{fill:var(--usual0)}
.usual1{fill:var(--usual1)}
.usual2{fill:var(--usual2)}
.drift2{fill:var(--drift2)}
.drift3{fill:var(--drift3)}
.drift4{fill:var(--drift4)}
@media print{
figure,tr{break-inside:avoid}
h2,h3{break-after:avoid}
body{margin:0;font-size:12px}
.wide,figure{overflow:visible}
table{font-size:10px}
th{white-space:normal}
}
"""
