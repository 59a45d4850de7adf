//! Clients of object stores: one per store and set of options, kept so that connections are reused.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::{ClientConfigKey, ObjectStore, RetryConfig};
use plasmon_core::{Error, Result};

use crate::format::Options;

/// What a failing store may cost: a query is better told after a few tries than after minutes.
const RETRIES: usize = 4;
const RETRY_SECONDS: u64 = 60;

type Clients = Mutex<HashMap<(String, Vec<(String, String)>), Arc<dyn ObjectStore>>>;

static CLIENTS: LazyLock<Clients> = LazyLock::new(Clients::default);

/// The client for `root` (`s3://bucket`, `https://host:port`), set up from the environment and `options`.
pub(super) fn client(root: &str, options: &Options) -> Result<Arc<dyn ObjectStore>> {
    let mut settings: Vec<(String, String)> = Vec::new();
    for (name, value) in &options.values {
        let name = setting(name);
        // The first one counts: a statement's options come before the session's.
        if !settings.iter().any(|(known, _)| *known == name) {
            settings.push((name, value.clone()));
        }
    }
    settings.sort();
    let key = (root.to_string(), settings);
    if let Some(known) = CLIENTS.lock().unwrap_or_else(|e| e.into_inner()).get(&key) {
        return Ok(known.clone());
    }
    let store = build(root, &key.1)?;
    CLIENTS.lock().unwrap_or_else(|e| e.into_inner()).insert(key, store.clone());
    Ok(store)
}

/// An option's name as the clients spell it: `s3.region`, `s3_region` and `region` are one.
fn setting(name: &str) -> String {
    let name = name.to_lowercase().replace('.', "_");
    match name.strip_prefix("s3_").or_else(|| name.strip_prefix("gcs_")).or_else(|| name.strip_prefix("http_")) {
        Some(rest) => rest.to_string(),
        None => name,
    }
}

/// Whether some client takes an option of this name.
pub(crate) fn is_setting(name: &str) -> bool {
    let setting = [(setting(name), String::new())];
    known::<AmazonS3ConfigKey>(&setting, "aws_").next().is_some()
        || known::<GoogleConfigKey>(&setting, "google_").next().is_some()
        || known::<AzureConfigKey>(&setting, "azure_").next().is_some()
        || known::<ClientConfigKey>(&setting, "").next().is_some()
        || matches!(setting[0].0.as_str(), "max_retries" | "retry_seconds" | "url_style" | "anonymous")
}

fn build(root: &str, settings: &[(String, String)]) -> Result<Arc<dyn ObjectStore>> {
    let scheme = root.split("://").next().unwrap_or_default();
    let error = |e: object_store::Error| Error::io(root, message(&e));
    // An endpoint that says http:// means it.
    let plain = scheme == "http" || settings.iter().any(|(_, value)| value.starts_with("http://"));
    let retry = retry(settings)?;
    Ok(match scheme {
        "s3" | "s3a" => {
            let mut builder = AmazonS3Builder::from_env().with_url(root).with_retry(retry);
            for (name, value) in known::<AmazonS3ConfigKey>(settings, "aws_") {
                builder = builder.with_config(name, value);
            }
            if plain {
                builder = builder.with_allow_http(true);
            }
            if let Some((_, style)) = settings.iter().find(|(name, _)| name == "url_style") {
                builder = builder.with_virtual_hosted_style_request(style != "path");
            }
            if settings.iter().any(|(name, value)| name == "anonymous" && value == "true") {
                builder = builder.with_skip_signature(true);
            }
            Arc::new(builder.build().map_err(error)?)
        }
        "gs" | "gcs" => {
            let url = root.replacen("gcs://", "gs://", 1);
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry);
            for (name, value) in known::<GoogleConfigKey>(settings, "google_") {
                builder = builder.with_config(name, value);
            }
            Arc::new(builder.build().map_err(error)?)
        }
        "az" | "azure" | "abfs" | "abfss" | "adl" => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(root).with_retry(retry);
            for (name, value) in known::<AzureConfigKey>(settings, "azure_") {
                builder = builder.with_config(name, value);
            }
            if plain {
                builder = builder.with_allow_http(true);
            }
            Arc::new(builder.build().map_err(error)?)
        }
        "http" | "https" => {
            let mut builder = HttpBuilder::new().with_url(root).with_retry(retry);
            for (name, value) in known::<ClientConfigKey>(settings, "") {
                builder = builder.with_config(name, value);
            }
            if plain {
                builder = builder.with_config(ClientConfigKey::AllowHttp, "true");
            }
            Arc::new(builder.build().map_err(error)?)
        }
        _ => {
            return Err(Error::user(format!(
                "{root}: unknown kind of location; there are paths, file, s3, gs, az, abfss, http, https"
            )));
        }
    })
}

/// The settings that a client has; the others are a file format's.
fn known<'a, K: FromStr>(settings: &'a [(String, String)], prefix: &str) -> impl Iterator<Item = (K, &'a str)> {
    let prefix = prefix.to_string();
    settings.iter().filter_map(move |(name, value)| {
        let key = name.parse().or_else(|_| format!("{prefix}{name}").parse()).ok()?;
        Some((key, value.as_str()))
    })
}

fn retry(settings: &[(String, String)]) -> Result<RetryConfig> {
    let number = |name: &str, default: u64| match settings.iter().find(|(n, _)| n == name) {
        None => Ok(default),
        Some((_, text)) => {
            text.parse::<u64>().map_err(|_| Error::user(format!("option {name}: {text:?} is no whole number")))
        }
    };
    let mut retry = RetryConfig {
        max_retries: number("max_retries", RETRIES as u64)? as usize,
        retry_timeout: Duration::from_secs(number("retry_seconds", RETRY_SECONDS)?),
        ..RetryConfig::default()
    };
    retry.backoff.init_backoff = Duration::from_millis(50);
    Ok(retry)
}

/// What a store's error says, with its innermost cause, on one line.
pub(super) fn message(error: &object_store::Error) -> String {
    let mut text = match error {
        object_store::Error::NotFound { .. } => return "not found".to_string(),
        other => other.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_clients_under_every_spelling() {
        for name in ["s3.region", "s3_region", "region", "aws.region", "AWS_REGION"] {
            let settings = [(setting(name), "eu-north-7".to_string())];
            let found: Vec<_> = known::<AmazonS3ConfigKey>(&settings, "aws_").collect();
            assert_eq!(found, [(AmazonS3ConfigKey::Region, "eu-north-7")], "{name}");
        }
        let settings = [("account_name".to_string(), "a".to_string()), ("delimiter".to_string(), ";".to_string())];
        assert_eq!(known::<AzureConfigKey>(&settings, "azure_").count(), 1);
    }

    #[test]
    fn wrong_places_and_options_are_told() {
        let message = client("gopher://host", &Options::default()).unwrap_err().to_string();
        assert!(message.contains("gopher://host") && message.contains("abfss"), "{message}");
        let options = Options { values: vec![("max_retries".into(), "many".into())], ..Options::default() };
        assert!(client("s3://bucket", &options).unwrap_err().to_string().contains("\"many\" is no whole number"));
    }

    #[test]
    fn every_kind_of_store_has_a_client() {
        let options = |pairs: &[(&str, &str)]| Options {
            values: pairs.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            ..Options::default()
        };
        client("s3://bucket", &options(&[("region", "x"), ("anonymous", "true")])).unwrap();
        client("gs://bucket", &options(&[("skip_signature", "true")])).unwrap();
        client("az://container", &options(&[("account_name", "a"), ("skip_signature", "true")])).unwrap();
        client("abfss://container@account.dfs.core.windows.net", &options(&[("skip_signature", "true")])).unwrap();
        client("https://example.org", &options(&[])).unwrap();
    }
}
