//! What stands between the program and the wire: no call that is not in its table of calls leaves it, whatever code asks
//! for it.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::calls::Call;

/// Which call of a table is being made; none where it is not in it.
pub(super) fn asked(cfg: &ConfigBag, table: Table) -> Option<&'static Call> {
    let asked = cfg.load::<Metadata>()?;
    table.iter().copied().find(|call| (call.service, call.operation) == (asked.service(), asked.name()))
}

/// Calls that may be made.
pub(crate) type Table = &'static [&'static Call];

/// Refuses every operation that is not in its table.
#[derive(Debug)]
pub(super) struct Guard(pub Table);

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "TableOfCalls"
    }

    // Not `read_before_execution`: at that time a client's interceptors do not see yet which operation it is.
    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let known = asked(cfg, self.0).is_some();
        if known { Ok(()) } else { Err("jitscan does not make this call: it is not in its table of calls".into()) }
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;

    use super::*;
    use crate::fetch::failure::chain;

    #[test]
    fn a_call_that_is_not_in_the_table_is_never_sent() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // Nobody listens there: a call that is sent ends otherwise.
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url("http://127.0.0.1:9")
            .credentials_provider(Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret", None, None, "test"))
            .retry_config(aws_config::retry::RetryConfig::disabled())
            .interceptor(Guard(crate::fetch::calls::CALLS))
            .build();
        let client = aws_sdk_iam::Client::from_conf(config);
        let refused = |error: &(dyn std::error::Error + 'static)| chain(error).contains("not in its table of calls");
        let made = runtime.block_on(client.create_user().user_name("x").send()).unwrap_err();
        assert!(refused(&made), "{}", chain(&made));
        let made = runtime.block_on(client.list_roles().send()).unwrap_err();
        assert!(refused(&made), "{}", chain(&made));
        let read = runtime.block_on(client.get_account_summary().send()).unwrap_err();
        assert!(!refused(&read), "{}", chain(&read));
    }
}
