//! What a misspelt field was meant to be.
//!
//! In: problems of a pod template. Out: the same, with the name that was probably meant where a field is unknown. It
//! decides nothing: which fields are unknown is known already.

use std::collections::HashMap;

use crds::PodTemplatePatch;
use plan::Problem;
use plan::pod::UNKNOWN;

use crate::fields;

/// More unknown fields than this were not misspelt.
const MOST: usize = 100;

/// Names what was meant, in problems of the template that stands at `path`.
pub fn spell(problems: &mut [Problem], template: Option<&PodTemplatePatch>, path: &str) {
    let Some(template) = template else { return };
    let unknown = problems.iter().filter(|problem| problem.message == UNKNOWN).count();
    if unknown == 0 || unknown > MOST {
        return;
    }
    let named = fields::unknown_in_template(template, path).into_iter();
    let named: HashMap<_, _> = named.map(|problem| (problem.path, problem.message)).collect();
    for problem in problems.iter_mut().filter(|problem| problem.message == UNKNOWN) {
        if let Some(known) = named.get(&problem.path).filter(|known| known.ends_with('?')) {
            problem.message = format!("{known} Correct its name or remove it");
        }
    }
}
