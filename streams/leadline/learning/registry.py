from leadline.settings import load_model_settings
class Registry:
    def __init__(self, root): self.root=root; self.c={p.parent.name:load_model_settings(p) for p in root.glob('*/model.toml')}
    def models(self): return list(self.c)
    def settings(self,m): return self.c.get(m)
    def champion(self,m): return None
    def version(self,m,v): return None
    def apply(self,r): pass
