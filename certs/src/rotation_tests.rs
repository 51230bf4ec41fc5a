//! Each step of a rotation from each state, as tables.

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + HOUR * 500_000
}

fn request() -> Request {
    Request::server(["silverback-webhook.silverback-system.svc"])
}

fn view(request: &Request) -> View<'_> {
    View { request, ask: None, trusted: Some(DAY), now: start(), pace: Pace::default() }
}

/// What a step writes, and whether it settles what was asked for.
fn written(step: Step) -> (Change, State, bool) {
    match step {
        Step::Write { change, state, settles } => (change, *state, settles),
        other => panic!("{other:?}"),
    }
}

fn change(step: &Step) -> Option<Change> {
    match step {
        Step::Write { change, .. } => Some(*change),
        Step::Wait(_) | Step::Rest(_) => None,
    }
}

fn fresh() -> State {
    written(look(None, None, &view(&request())).unwrap()).1
}

/// A state in the middle of a rotation: before the exchange, and after it.
fn midway() -> (State, State) {
    let request = request();
    let asked = View { ask: Some(Ask::Authority), ..view(&request) };
    let (_, staged, _) = written(next(&fresh(), &asked).unwrap());
    let (_, exchanged, _) = written(next(&staged, &view(&request)).unwrap());
    (staged, exchanged)
}

#[test]
fn from_nothing_everything_is_made_at_once() {
    let request = request();
    let (change, state, settles) = written(look(None, None, &view(&request)).unwrap());
    assert_eq!((change, settles), (Change::Begin, false));
    assert!(state.serves(&view(&request)) && !state.is_damaged(&view(&request)));
    assert_eq!(state.bundle().trim(), state.authority.certificate.trim());
    assert!(matches!(next(&state, &view(&request)).unwrap(), Step::Rest(at) if at > start() + LEAF_LIFE / 2));
}

#[test]
fn what_is_stored_is_read_again() {
    let (staged, exchanged) = midway();
    for state in [fresh(), staged, exchanged] {
        let entries: std::collections::BTreeMap<_, _> = state.entries().collect();
        assert!(entries.keys().all(|key| KEYS.contains(key)));
        assert_eq!(State::read(|key| entries.get(key).map(|text| (*text).to_owned())), state);
    }
    let empty = State::read(|_| None);
    assert!(empty.is_damaged(&view(&request())) && empty.bundle().is_empty());
}

#[test]
fn an_authority_is_replaced_in_four_steps() {
    let (request, pace) = (request(), Pace::default());
    let base = view(&request);
    let first = fresh();
    let asked = View { ask: Some(Ask::Authority), ..base };
    let (change, staged, settles) = written(next(&first, &asked).unwrap());
    assert_eq!((change, settles), (Change::Stage, true));
    assert_eq!((&staged.leaf, &staged.authority), (&first.leaf, &first.authority));
    assert!(crate::holds(&staged.bundle(), &first.bundle()) && staged.bundle() != first.bundle());

    let after = |trusted| View { trusted, ..base };
    assert_eq!(next(&staged, &after(None)).unwrap(), Step::Wait(None));
    assert_eq!(next(&staged, &after(Some(Duration::ZERO))).unwrap(), Step::Wait(Some(pace.grace)));
    let (change, exchanged, settles) = written(next(&staged, &after(Some(pace.grace))).unwrap());
    assert_eq!((change, settles), (Change::Exchange, false));
    assert_eq!(exchanged.bundle(), staged.bundle(), "clients need not be told again");
    assert!(exchanged.serves(&base) && exchanged.leaf != first.leaf);
    assert_eq!(Some(&exchanged.authority), staged.next.as_ref());

    assert_eq!(next(&exchanged, &after(None)).unwrap(), Step::Wait(None));
    assert_eq!(next(&exchanged, &after(Some(Duration::ZERO))).unwrap(), Step::Wait(Some(pace.overlap)));
    let again = View { ask: Some(Ask::Authority), ..after(Some(Duration::ZERO)) };
    assert_eq!(next(&exchanged, &again).unwrap(), Step::Wait(Some(pace.overlap)), "one at a time");
    let (change, last, _) = written(next(&exchanged, &after(Some(pace.overlap))).unwrap());
    assert_eq!((change, last.bundle().trim()), (Change::Drop, last.authority.certificate.trim()));
    assert!(matches!(next(&last, &base).unwrap(), Step::Rest(_)));
}

#[test]
fn a_leaf_can_be_asked_for_at_any_time() {
    let request = request();
    let asked = View { ask: Some(Ask::Leaf), trusted: None, ..view(&request) };
    let (staged, exchanged) = midway();
    for state in [fresh(), staged, exchanged] {
        let (change, renewed, settles) = written(next(&state, &asked).unwrap());
        assert_eq!((change, settles), (Change::Leaf, true));
        assert_eq!(State { leaf: state.leaf.clone(), ..renewed.clone() }, state, "nothing else changes");
        assert!(renewed.leaf != state.leaf && renewed.serves(&asked));
    }
}

#[test]
fn each_thing_has_its_time() {
    let request = request();
    let state = fresh();
    let life = AUTHORITY_LIFE;
    for (name, passed, wanted) in [
        ("young", DAY, None),
        ("before two thirds of the leaf's life", LEAF_LIFE / 2, None),
        ("after two thirds of the leaf's life", LEAF_LIFE * 2 / 3, Some(Change::Leaf)),
        ("the leaf is over", LEAF_LIFE + DAY, Some(Change::Leaf)),
        ("the authority is due, and the leaf over", life * 2 / 3, Some(Change::Leaf)),
        ("nothing serves any more", life + DAY, Some(Change::Begin)),
    ] {
        let at = View { now: start() + passed, ..view(&request) };
        assert_eq!(change(&next(&state, &at).unwrap()), wanted, "{name}");
    }
    // With a leaf that is good, a due authority is replaced.
    let late = View { now: start() + life * 2 / 3, ..view(&request) };
    let (_, renewed, _) = written(next(&state, &late).unwrap());
    assert_eq!(change(&next(&renewed, &late).unwrap()), Some(Change::Stage));
}

#[test]
fn a_clock_that_jumps_costs_no_more_than_a_new_start() {
    let request = request();
    let state = fresh();
    for (name, now, wanted) in [
        ("less than the backdating", start() - HOUR / 2, None),
        ("to before everything", start() - DAY * 365, Some(Change::Begin)),
        ("far ahead", start() + AUTHORITY_LIFE * 2, Some(Change::Begin)),
    ] {
        let jumped = View { now, ..view(&request) };
        let step = next(&state, &jumped).unwrap();
        assert_eq!(change(&step), wanted, "{name}");
        if wanted.is_none() {
            continue;
        }
        let (_, anew, _) = written(step);
        assert!(anew.serves(&jumped), "{name}");
        assert!(
            crate::holds(&anew.bundle(), &state.bundle()),
            "{name}: others may still show the leaf before"
        );
        // And back again.
        let (_, back, _) = written(look(Some(&anew), None, &view(&request)).unwrap());
        assert!(back.serves(&view(&request)), "{name}");
    }
}

#[test]
fn damage_is_healed_from_what_is_known_or_made_good() {
    let request = request();
    let (sound, other) = (fresh(), fresh());
    let (staged, _) = midway();
    let with = |damage: &dyn Fn(&mut State)| {
        let mut state = sound.clone();
        damage(&mut state);
        state
    };
    let no_key = with(&|state| state.authority.key = String::new());
    let cases = [
        ("leaf gone", with(&|state| state.leaf = State::read(|_| None).leaf), Change::Leaf),
        ("leaf's key gone", with(&|state| state.leaf.key = String::new()), Change::Leaf),
        ("leaf's key another's", with(&|state| state.leaf.key.clone_from(&other.leaf.key)), Change::Leaf),
        ("leaf of another authority", with(&|state| state.leaf = other.leaf.clone()), Change::Leaf),
        ("authority's key gone, the leaf serves", no_key, Change::Stage),
        ("authority gone", with(&|state| state.authority = State::read(|_| None).authority), Change::Begin),
        ("authority another's", with(&|state| state.authority = other.authority.clone()), Change::Leaf),
        ("all gone", State::read(|_| None), Change::Begin),
        ("next unreadable", with(&|state| state.next = Some(State::read(|_| None).leaf)), Change::Stage),
        ("old unreadable", with(&|state| state.old = Some("x".to_owned())), Change::Drop),
    ];
    for (name, damaged, alone) in cases {
        assert!(damaged.is_damaged(&view(&request)), "{name}");
        let at = view(&request);
        let (change, restored, _) = written(look(Some(&damaged), Some(&staged), &at).unwrap());
        assert_eq!((change, restored), (Change::Restore, staged.clone()), "{name}");
        let (change, mut state, _) = written(look(Some(&damaged), None, &at).unwrap());
        assert_eq!(change, alone, "{name}");
        // A handful of steps, and all is well.
        for _ in 0..6 {
            assert!(state.serves(&at), "{name} after {change:?}");
            let step = look(Some(&state), None, &at).unwrap();
            if matches!(step, Step::Rest(_)) {
                break;
            }
            state = written(step).1;
        }
        assert!(!state.is_damaged(&at) && state.next.is_none() && state.old.is_none(), "{name}");
    }
    let (change, _, _) = written(look(None, Some(&staged), &view(&request)).unwrap());
    assert_eq!(change, Change::Restore, "the Secret was deleted");
}

#[test]
fn other_names_need_another_leaf_and_nothing_else() {
    let moved = Request::server(["silverback-webhook.other.svc"]);
    let state = fresh();
    assert!(!state.is_damaged(&view(&moved)) && !state.serves(&view(&moved)));
    let (change, renewed, _) = written(look(Some(&state), Some(&state), &view(&moved)).unwrap());
    assert_eq!((change, &renewed.authority), (Change::Leaf, &state.authority));
    assert!(renewed.serves(&view(&moved)));
}

#[test]
fn an_authority_of_its_last_days_does_not_renew_for_ever() {
    let request = request();
    let state = fresh();
    let late = View { now: start() + AUTHORITY_LIFE - HOUR, trusted: None, ..view(&request) };
    let (_, renewed, _) = written(next(&state, &late).unwrap());
    let (change, staged, _) = written(next(&renewed, &late).unwrap());
    assert_eq!(change, Change::Stage);
    assert_eq!(next(&staged, &late).unwrap(), Step::Wait(None));
    // Nobody trusts the next one in time: it takes over all the same when nothing else serves.
    let over = View { now: start() + AUTHORITY_LIFE + HOUR, ..late };
    let (change, begun, _) = written(next(&staged, &over).unwrap());
    assert_eq!((change, Some(&begun.authority)), (Change::Begin, staged.next.as_ref()));
}
