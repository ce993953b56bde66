//! What stands between the collector and the wire: no call that is not in the table of calls leaves the program,
//! whatever code asks for it.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeSerializationInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::calls::CALLS;

/// Refuses every operation that is not in [`CALLS`].
#[derive(Debug)]
pub(super) struct Guard;

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "ReadOnly"
    }

    // Not `read_before_execution`: at that time a client's interceptors do not see yet which operation it is.
    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let known = cfg.load::<Metadata>().is_some_and(|asked| {
            CALLS.iter().any(|call| (call.service, call.operation) == (asked.service(), asked.name()))
        });
        if known { Ok(()) } else { Err("jitscan does not make this call: it is not in its table of calls".into()) }
    }
}
