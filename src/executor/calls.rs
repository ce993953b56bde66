//! Every call that changing access makes, as data: the guard lets nothing else through, and the policy that `jitscan
//! permissions --for remediate` prints is made of it.

use crate::fetch::calls::{
    ASSUME_ROLE, Call, DESCRIBE_PERMISSION_SET, GET_ACCOUNT_AUTHORIZATION_DETAILS, GET_CALLER_IDENTITY,
    GET_INLINE_POLICY, GET_PERMISSIONS_BOUNDARY, LIST_ACCOUNT_ASSIGNMENTS, LIST_ACCOUNTS_FOR_SET,
    LIST_CUSTOMER_POLICIES, LIST_MANAGED_POLICIES, LIST_PERMISSION_SETS, LIST_TAGS_OF_SET, Purpose,
};

macro_rules! calls {
    ($($constant:ident: $service:literal $prefix:literal $operation:literal;)*) => {
        $(pub(super) const $constant: Call = Call {
            service: $service,
            operation: $operation,
            action: concat!($prefix, $operation),
            purpose: Purpose::Remediation,
        };)*
        /// Every call.
        pub const CALLS: &[&Call] = &[
            &GET_CALLER_IDENTITY,
            &ASSUME_ROLE,
            &GET_ACCOUNT_AUTHORIZATION_DETAILS,
            &DESCRIBE_PERMISSION_SET,
            &GET_INLINE_POLICY,
            &GET_PERMISSIONS_BOUNDARY,
            &LIST_ACCOUNT_ASSIGNMENTS,
            &LIST_ACCOUNTS_FOR_SET,
            &LIST_CUSTOMER_POLICIES,
            &LIST_MANAGED_POLICIES,
            &LIST_PERMISSION_SETS,
            &LIST_TAGS_OF_SET,
            $(&$constant),*
        ];
    };
}

calls! {
    GET_USER: "IAM" "iam:" "GetUser";
    GET_ROLE: "IAM" "iam:" "GetRole";
    GET_ROLE_POLICY: "IAM" "iam:" "GetRolePolicy";
    GET_USER_POLICY: "IAM" "iam:" "GetUserPolicy";
    GET_POLICY: "IAM" "iam:" "GetPolicy";
    GET_POLICY_VERSION: "IAM" "iam:" "GetPolicyVersion";
    LIST_ATTACHED_ROLE_POLICIES: "IAM" "iam:" "ListAttachedRolePolicies";
    LIST_ATTACHED_USER_POLICIES: "IAM" "iam:" "ListAttachedUserPolicies";
    LIST_GROUPS_FOR_USER: "IAM" "iam:" "ListGroupsForUser";
    PUT_ROLE_POLICY: "IAM" "iam:" "PutRolePolicy";
    DELETE_ROLE_POLICY: "IAM" "iam:" "DeleteRolePolicy";
    PUT_USER_POLICY: "IAM" "iam:" "PutUserPolicy";
    DELETE_USER_POLICY: "IAM" "iam:" "DeleteUserPolicy";
    ATTACH_ROLE_POLICY: "IAM" "iam:" "AttachRolePolicy";
    DETACH_ROLE_POLICY: "IAM" "iam:" "DetachRolePolicy";
    ATTACH_USER_POLICY: "IAM" "iam:" "AttachUserPolicy";
    DETACH_USER_POLICY: "IAM" "iam:" "DetachUserPolicy";
    ADD_USER_TO_GROUP: "IAM" "iam:" "AddUserToGroup";
    REMOVE_USER_FROM_GROUP: "IAM" "iam:" "RemoveUserFromGroup";
    CREATE_POLICY: "IAM" "iam:" "CreatePolicy";
    DELETE_POLICY: "IAM" "iam:" "DeletePolicy";
    UPDATE_ASSUME_ROLE_POLICY: "IAM" "iam:" "UpdateAssumeRolePolicy";
    CREATE_ROLE: "IAM" "iam:" "CreateRole";
    DELETE_ROLE: "IAM" "iam:" "DeleteRole";
    CREATE_PERMISSION_SET: "SSO Admin" "sso:" "CreatePermissionSet";
    DELETE_PERMISSION_SET: "SSO Admin" "sso:" "DeletePermissionSet";
    PUT_INLINE_POLICY: "SSO Admin" "sso:" "PutInlinePolicyToPermissionSet";
    DELETE_INLINE_POLICY: "SSO Admin" "sso:" "DeleteInlinePolicyFromPermissionSet";
    ATTACH_MANAGED_POLICY: "SSO Admin" "sso:" "AttachManagedPolicyToPermissionSet";
    DETACH_MANAGED_POLICY: "SSO Admin" "sso:" "DetachManagedPolicyFromPermissionSet";
    ATTACH_CUSTOMER_POLICY: "SSO Admin" "sso:" "AttachCustomerManagedPolicyReferenceToPermissionSet";
    DETACH_CUSTOMER_POLICY: "SSO Admin" "sso:" "DetachCustomerManagedPolicyReferenceFromPermissionSet";
    PUT_BOUNDARY: "SSO Admin" "sso:" "PutPermissionsBoundaryToPermissionSet";
    DELETE_BOUNDARY: "SSO Admin" "sso:" "DeletePermissionsBoundaryFromPermissionSet";
    PROVISION_PERMISSION_SET: "SSO Admin" "sso:" "ProvisionPermissionSet";
    DESCRIBE_PROVISIONING_STATUS: "SSO Admin" "sso:" "DescribePermissionSetProvisioningStatus";
}
