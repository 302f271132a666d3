//! Which graph of a component a device runs: the pack's own, or a serving variant of it.

use std::{
    borrow::Cow,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use plaudit_onnx::Model;

use super::PipelineError;
use crate::{
    pack::{Component, Pack, Variant, serving_variant},
    runtime::{Device, SessionSettings},
};

/// Names the folder that serving variants are kept in; set to nothing, none are made and every device runs the pack's own
/// graphs. Where it is not set: `plaudit` in the user's cache folder.
const VARIABLE: &str = "PLAUDIT_CACHE";

/// The graph to open sessions for.
pub(super) fn model<'a>(
    pack: &'a Pack,
    component: Component,
    settings: &SessionSettings,
) -> Result<Cow<'a, Model>, PipelineError> {
    choose(pack, component, preferred(component, settings.device), cache(|name| env::var_os(name)).as_deref(), settings)
}

/// The denoiser takes nearly all of the time. The others run once a picture, and keep full precision: the decoders of some
/// models overflow in fp16.
fn preferred(component: Component, device: Device) -> Option<Variant> {
    match (component, device) {
        (Component::Unet, Device::Cuda(_)) => Some(Variant::Half),
        _ => None,
    }
}

/// A variant that cannot be had costs speed, not the service: the source is served then, with a warning.
fn choose<'a>(
    pack: &'a Pack,
    component: Component,
    variant: Option<Variant>,
    cache: Option<&Path>,
    settings: &SessionSettings,
) -> Result<Cow<'a, Model>, PipelineError> {
    let source = pack.model(component).ok_or(PipelineError::Missing(component))?;
    let (Some(variant), Some(cache)) = (variant, cache) else { return Ok(Cow::Borrowed(source)) };
    match serving_variant(pack, component, variant, cache, settings) {
        Ok(model) => Ok(Cow::Owned(model)),
        Err(error) => {
            tracing::warn!(
                "{component} is served in full precision, which is slower: {error} ({VARIABLE} names the cache)"
            );
            Ok(Cow::Borrowed(source))
        }
    }
}

/// The folder for variants, as the environment says it.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if variable(VARIABLE).is_some() {
        return set(VARIABLE);
    }
    let of_user = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(of_user.join("plaudit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::import;

    fn tiny_pack(folder: &Path) -> Pack {
        let export = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiny_sd");
        import(&export, &folder.join("tiny"), &SessionSettings::default(), |_| ()).expect("a pack");
        Pack::open(&folder.join("tiny")).expect("the pack")
    }

    #[test]
    fn gpus_run_the_denoiser_in_half_precision_and_processors_run_the_source() {
        for component in Component::ALL {
            assert_eq!(preferred(component, Device::Cpu), None);
            let half = (component == Component::Unet).then_some(Variant::Half);
            assert_eq!(preferred(component, Device::Cuda(1)), half, "{component}");
        }
    }

    #[test]
    fn the_cache_is_where_the_environment_says() {
        fn of(values: &[(&str, &str)]) -> Option<PathBuf> {
            cache(|name| values.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)))
        }
        let home = ("HOME", "/home/me");
        assert_eq!(of(&[home]), Some("/home/me/.cache/plaudit".into()));
        assert_eq!(of(&[home, ("XDG_CACHE_HOME", "/cache")]), Some("/cache/plaudit".into()));
        assert_eq!(of(&[home, (VARIABLE, "/variants")]), Some("/variants".into()));
        assert_eq!(of(&[home, (VARIABLE, "")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_variant_is_chosen_where_it_can_be_had_and_the_source_otherwise() {
        let folder = tempfile::tempdir().expect("a folder");
        let pack = tiny_pack(folder.path());
        let settings = SessionSettings::default();
        let choose = |variant, cache: Option<&PathBuf>| {
            let cache = cache.map(PathBuf::as_path);
            choose(&pack, Component::Unet, variant, cache, &settings).expect("a graph").into_owned()
        };
        let source = pack.model(Component::Unet).expect("a denoiser");
        let (there, taken) = (folder.path().join("cache"), folder.path().join("a file"));
        std::fs::write(&taken, "").expect("a file");
        assert_ne!(&choose(Some(Variant::Half), Some(&there)), source);
        assert_eq!(&choose(Some(Variant::Half), Some(&taken)), source, "no folder can be made there");
        assert_eq!(&choose(Some(Variant::Half), None), source);
        assert_eq!(&choose(None, Some(&there)), source);
    }
}
