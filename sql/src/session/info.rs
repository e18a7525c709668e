//! What functions know of the session they run in.
//!
//! Functions are shared by all sessions; what differs between sessions reaches them as an extension of
//! DataFusion's ConfigOptions, a new one whenever a setting changes.

use crate::catalog::system::Facts;
use crate::types::style::TextStyle;
use crate::types::text::InputContext;
use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::error::{DataFusionError, Result};
use std::any::Any;
use std::sync::Arc;

/// The part of a session that expressions can depend on.
#[derive(Clone, Debug, Default)]
pub struct SessionInfo {
    /// How values are written.
    pub style: Arc<TextStyle>,
    /// `now()`: when the transaction began, microseconds since 1970-01-01 UTC.
    pub now_micros: i64,
    /// What catalog queries see.
    pub facts: Facts,
}

impl ConfigExtension for SessionInfo {
    const PREFIX: &'static str = "terrane_session";
}

impl ExtensionOptions for SessionInfo {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> Result<()> {
        Err(DataFusionError::Configuration(format!("{key} is set by the session only")))
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

impl SessionInfo {
    /// What text input depends on.
    pub fn input(&self) -> InputContext<'_> {
        InputContext { style: &self.style, now_micros: self.now_micros }
    }
}

/// The session's part; the defaults outside of a session.
pub fn of(options: &ConfigOptions) -> SessionInfo {
    options.extensions.get::<SessionInfo>().cloned().unwrap_or_default()
}
