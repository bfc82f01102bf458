//! Assigns columns to fields one to one, and tells whether there is only one way.
//!
//! In: which column may be which field. Out: [`Matching`].

/// The ways to assign all columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Matching {
    /// There is none.
    None,
    /// There is exactly one: the column for each field.
    One(Vec<usize>),
    /// There are several.
    Many,
}

/// Assigns `count` columns to as many fields, where `may(column, field)` allows it.
pub(super) fn matching(count: usize, may: impl Fn(usize, usize) -> bool) -> Matching {
    let mut owner: Vec<Option<usize>> = vec![None; count];
    for column in 0..count {
        let mut seen = vec![false; count];
        if !augment(column, count, &may, &mut seen, &mut owner) {
            return Matching::None;
        }
    }
    let owner: Vec<usize> = owner.into_iter().flatten().collect();
    if has_cycle(&owner, &may) { Matching::Many } else { Matching::One(owner) }
}

/// Finds a field for `column`, moving other columns where that helps.
fn augment(
    column: usize,
    count: usize,
    may: &impl Fn(usize, usize) -> bool,
    seen: &mut [bool],
    owner: &mut [Option<usize>],
) -> bool {
    for field in 0..count {
        if seen[field] || !may(column, field) {
            continue;
        }
        seen[field] = true;
        let free = match owner[field] {
            None => true,
            Some(other) => augment(other, count, may, seen, owner),
        };
        if free {
            owner[field] = Some(column);
            return true;
        }
    }
    false
}

/// Another assignment exists exactly if columns can pass their fields on in a circle.
fn has_cycle(owner: &[usize], may: &impl Fn(usize, usize) -> bool) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let count = owner.len();
    let mut marks = vec![Mark::New; count];
    for start in 0..count {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::Open;
        // Columns on the path, each with the next field to look at.
        let mut path = vec![(start, 0)];
        while let Some((column, field)) = path.last_mut() {
            let Some(next) = (*field..count).find(|field| owner[*field] != *column && may(*column, *field)) else {
                marks[*column] = Mark::Done;
                path.pop();
                continue;
            };
            *field = next + 1;
            match marks[owner[next]] {
                Mark::Open => return true,
                Mark::Done => {}
                Mark::New => {
                    marks[owner[next]] = Mark::Open;
                    path.push((owner[next], 0));
                }
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&str]) -> Matching {
        matching(rows.len(), |column, field| rows[column].as_bytes()[field] == b'x')
    }

    #[test]
    fn one_way_is_told_from_none_and_from_several() {
        assert_eq!(of(&["x.", ".x"]), Matching::One(vec![0, 1]));
        assert_eq!(of(&["xx", ".x"]), Matching::One(vec![0, 1]));
        assert_eq!(of(&["xxx", "x..", ".xx"]), Matching::Many);
        assert_eq!(of(&[".x.", "xxx", ".xx"]), Matching::One(vec![1, 0, 2]));
        assert_eq!(of(&["xx", "xx"]), Matching::Many);
        assert_eq!(of(&["x.", "x."]), Matching::None);
        assert_eq!(of(&[".x.", "..x", "x.."]), Matching::One(vec![2, 0, 1]));
        assert_eq!(of(&[]), Matching::One(vec![]));
    }

    #[test]
    fn hundreds_of_columns_are_no_trouble() {
        let count = 500;
        let triangle = matching(count, |column, field| field <= column);
        assert_eq!(triangle, Matching::One((0..count).collect()));
        assert_eq!(matching(count, |_, _| true), Matching::Many);
    }
}
