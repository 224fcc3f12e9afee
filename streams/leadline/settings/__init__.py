"""Settings of the installation (environment) and of each model (one TOML file)."""

from leadline.settings.installation import Security, Settings, load_security, load_settings
from leadline.settings.model import AlertLimits, Allowed, DriftLimits, Lookup, ModelSettings, load_model_settings
from leadline.settings.parts import Part, changed, check_live, in_force, live_keys
from leadline.settings.release import ApprovalSettings, RolloutSettings
from leadline.settings.values import Address, SettingsError, duration_ms, explain

__all__ = [
    "Address",
    "AlertLimits",
    "Allowed",
    "ApprovalSettings",
    "DriftLimits",
    "Lookup",
    "ModelSettings",
    "Part",
    "RolloutSettings",
    "Security",
    "Settings",
    "SettingsError",
    "changed",
    "check_live",
    "duration_ms",
    "explain",
    "in_force",
    "live_keys",
    "load_model_settings",
    "load_security",
    "load_settings",
]
