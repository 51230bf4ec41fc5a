//! The rules of a definition, in CEL.
//!
//! In: the schema with its rules, and an object. Out: the rules that it breaks, in the words that the API server would
//! use. Never: a rule that compares with an object before: offline there is none.

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, Validator, compile_schema};
use serde_json::Value;

use super::schema::Fault;

/// The rules of one definition.
pub struct Rules {
    compiled: CompiledSchema,
    validator: Validator,
}

impl Rules {
    /// Those of a schema.
    pub fn of(schema: &Value) -> Self {
        Self { compiled: compile_schema(schema), validator: Validator::new() }
    }

    /// The rules that an object breaks. One that cannot be evaluated is a problem of its own where the object is as the
    /// schema wants it; else the schema has told why.
    pub fn broken(&self, object: &Value, fits_the_schema: bool) -> Vec<Fault> {
        let Err(errors) = self.validator.validate_compiled(&self.compiled, object, None) else {
            return Vec::new();
        };
        let tells = |error: &ValidationError| fits_the_schema || error.kind == ErrorKind::ValidationFailure;
        errors.into_vec().into_iter().filter(tells).map(fault).collect()
    }
}

fn fault(error: ValidationError) -> Fault {
    let ValidationError { message, field_path: path, reason, kind, .. } = error;
    let (cause, what) = match reason.as_deref() {
        Some("FieldValueForbidden") => ("FieldValueForbidden", "Forbidden"),
        Some("FieldValueRequired") => ("FieldValueRequired", "Required value"),
        Some("FieldValueDuplicate") => ("FieldValueDuplicate", "Duplicate value"),
        _ => ("FieldValueInvalid", "Invalid value"),
    };
    let message = match kind {
        ErrorKind::ValidationFailure => format!("{what}: {message}"),
        _ => format!("{what}: the rule {:?} could not be evaluated: {message}", error.rule),
    };
    Fault { cause, path, message }
}
