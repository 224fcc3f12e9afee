"""TEMPORARY minimal codec."""
import io, json, dataclasses
from decimal import Decimal, Context
from pathlib import Path
import fastavro, numpy as np, pyarrow as pa, pyruhvro
from leadline import records as R
from leadline.core.batch import Batch, Output
from leadline.wire.run import ARRIVAL_HEADER, DeadLetter, Run
D=Path(__file__).resolve().parents[3]/'schemas'
RAW={json.loads(p.read_text())['name']:json.loads(p.read_text()) for p in D.glob('*.avsc')}
PARSED={n:fastavro.parse_schema(json.loads(json.dumps(s))) for n,s in RAW.items()}
FP={n:bytes.fromhex(fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(RAW[n]),'CRC-64-AVRO')) for n in RAW}
HEAD={n:b'\xc3\x01'+FP[n][::1] for n in RAW}
BY={h:n for n,h in HEAD.items()}
HOT={'prediction-requests':'PredictionRequest','predictions':'Prediction','outcomes':'Outcome','labeled-predictions':'LabeledPrediction'}
def plain(s):
    if isinstance(s,dict):
        if 'logicalType' in s and s['type']=='long': return 'long'
        return {k:plain(v) for k,v in s.items()}
    if isinstance(s,list): return [plain(x) for x in s]
    return s
TXT={n:json.dumps(plain(s)) for n,s in RAW.items()}
TAIL=json.dumps({'type':'record','name':'Tail','fields':plain(RAW['LabeledPrediction'])['fields'][1:]})
def arrivals(run):
    out=[]
    for t,h in zip(run.timestamps,run.headers):
        a=t
        for k,v in h:
            if k==ARRIVAL_HEADER: a=int(v)
        out.append(a)
    return out
def decode(run, max_bytes):
    arr=arrivals(run); keep=[i for i,v in enumerate(run.values) if v is not None]; dead=[]
    if run.topic in HOT:
        bodies=[run.values[i][10:] for i in keep]
        cols=pyruhvro.deserialize_array(bodies,TXT[HOT[run.topic]]) if keep else None
        if run.topic=='predictions' and keep:
            bad=~np.isfinite(cols['score'].to_numpy())
            if bad.any():
                for j in np.flatnonzero(bad): dead.append(DeadLetter(run.topic,run.partition,run.offsets[keep[j]],run.keys[keep[j]],run.values[keep[j]],'score-not-finite',''))
                keep=[k for k,b in zip(keep,bad) if not b]; return decode(Run(run.topic,run.partition,*[[c[k] for k in keep] for c in (run.offsets,run.timestamps,run.keys,run.values,run.headers)]),max_bytes)[0], dead
        recs=[]
    else:
        cols=None; bodies=[]; recs=[]
        for i in keep:
            v=run.values[i]; n=BY[v[:10]]
            recs.append(build(getattr(R,n),fastavro.schemaless_reader(io.BytesIO(v[10:]),PARSED[n])))
    return Batch(run.topic,run.partition,np.array([run.offsets[i] for i in keep],np.int64),np.array([arr[i] for i in keep],np.int64),[run.keys[i] for i in keep],run.offsets[-1] if run.offsets else -1,max(arr,default=-2**63),cols,bodies,recs), dead
def ms(v):
    import datetime as dt
    if isinstance(v,dt.datetime): return round((v-dt.datetime(1970,1,1,tzinfo=dt.timezone.utc))/dt.timedelta(milliseconds=1))
    if isinstance(v,Decimal): return int(v.scaleb(12))
    return v
def build(cls,d):
    kw={}
    for f in dataclasses.fields(cls):
        v=ms(d[f.name])
        if isinstance(v,dict) and 'value' in v: v=R.Metric(**v)
        if f.name=='features' and v and isinstance(v[0],dict): v=[R.FeatureCounts(**x) for x in v]
        kw[f.name]=v
    return cls(**kw)
def value_of(r):
    d=dataclasses.asdict(r); n=type(r).__name__
    for k in d:
        if k.endswith('_sum'): d[k]=Decimal(d[k]).scaleb(-12, Context(prec=60))
    b=io.BytesIO(); b.write(HEAD[n]); fastavro.schemaless_writer(b,PARSED[n],d); return b.getvalue()
def encode(o):
    if o.records: return [value_of(r) for r in o.records]
    if o.columns is None or not o.columns.num_rows: return []
    if o.bodies:
        t=pyruhvro.serialize_record_batch(o.columns,TAIL,1)[0].to_pylist(); h=HEAD['LabeledPrediction']; return [h+b+x for b,x in zip(o.bodies,t)]
    n=HOT[o.topic]; h=HEAD[n]
    return [h+x for x in pyruhvro.serialize_record_batch(o.columns,TXT[n],1)[0].to_pylist()]
