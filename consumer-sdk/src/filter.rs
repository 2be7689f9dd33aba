use mixcord_event::Kind;

/// Which kinds of event are wanted; by default all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    kinds: Option<Vec<Kind>>,
    /// Names this build does not know: they arrive as [`Kind::UNKNOWN`].
    names: Vec<String>,
}

impl Filter {
    /// Whether nobody said which kinds.
    pub(crate) const fn is_open(&self) -> bool {
        self.kinds.is_none()
    }

    /// Wants only what is added from now on.
    pub(crate) fn close(&mut self) {
        self.kinds.get_or_insert_default();
    }

    pub(crate) fn add(&mut self, kind: Kind) {
        self.kinds.get_or_insert_default().push(kind);
    }

    pub(crate) fn add_name(&mut self, name: &str) {
        match Kind::from_name(name.as_bytes()) {
            Some(kind) => self.add(kind),
            None => {
                self.kinds.get_or_insert_default();
                self.names.push(name.to_owned());
            }
        }
    }

    /// Whether it leaves anything out.
    pub(crate) fn is_any(&self) -> bool {
        self.kinds.is_some()
    }

    /// Can a record with this tag be wanted? Decided without looking into the record.
    pub(crate) fn admits_tag(&self, tag: u64) -> bool {
        let Some(kinds) = &self.kinds else { return true };
        kinds.iter().any(|kind| tag_of(*kind) == tag)
            || (tag == tag_of(Kind::UNKNOWN) && !self.names.is_empty())
    }

    /// Is a record of this kind and name wanted, which [`Self::admits_tag`]?
    pub(crate) fn admits(&self, kind: Kind, name: &str) -> bool {
        let Some(kinds) = &self.kinds else { return true };
        kinds.contains(&kind) || (kind == Kind::UNKNOWN && self.names.iter().any(|n| n == name))
    }
}

/// The tag of a kind's records in the output ring.
fn tag_of(kind: Kind) -> u64 {
    u64::from(kind.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_filter_wants_everything() {
        let filter = Filter::default();
        assert!(filter.admits_tag(tag_of(Kind::GAP)));
        assert!(filter.admits(Kind::UNKNOWN, "NEW_THING"));
    }

    #[test]
    fn a_filter_wants_only_what_it_names() {
        let mut filter = Filter::default();
        filter.add(Kind::MESSAGE_CREATE);
        assert!(filter.admits_tag(tag_of(Kind::MESSAGE_CREATE)));
        assert!(!filter.admits_tag(tag_of(Kind::MESSAGE_DELETE)));
        assert!(!filter.admits_tag(tag_of(Kind::UNKNOWN)));
    }

    /// P11: its records have the number of the unknown ones.
    #[test]
    fn a_kind_that_travels_by_name_is_found_by_its_constant_and_by_its_name() {
        let later = Kind::GUILD_SCHEDULED_EVENT_EXCEPTION_CREATE;
        let (mut by_kind, mut by_name) = (Filter::default(), Filter::default());
        by_kind.add(later);
        by_name.add_name(later.name());
        for filter in [by_kind, by_name] {
            assert!(filter.admits_tag(tag_of(Kind::UNKNOWN)) && filter.admits_tag(tag_of(later)));
            assert!(filter.admits(later, later.name()));
            assert!(!filter.admits(Kind::UNKNOWN, "OTHER_THING"));
            assert!(!filter.admits_tag(tag_of(Kind::MESSAGE_CREATE)));
        }
    }

    #[test]
    fn a_name_newer_than_this_build_can_be_asked_for() {
        let mut filter = Filter::default();
        filter.add_name("NEW_THING");
        filter.add_name("GAP");
        assert!(filter.admits_tag(tag_of(Kind::UNKNOWN)) && filter.admits_tag(tag_of(Kind::GAP)));
        assert!(filter.admits(Kind::UNKNOWN, "NEW_THING"));
        assert!(!filter.admits(Kind::UNKNOWN, "OTHER_THING"));
        assert!(!filter.admits_tag(tag_of(Kind::MESSAGE_CREATE)));
    }
}
