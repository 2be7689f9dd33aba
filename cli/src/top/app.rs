//! What is looked at, and how: changed by keys, drawn by views.

use std::collections::VecDeque;

use mixcord_monitor::update::Update;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Look;

/// How many updates are remembered.
const UPDATES: usize = 32;

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Overview,
    Shards,
    Groups,
    Kinds,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Overview, Self::Shards, Self::Groups, Self::Kinds];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Shards => "shards",
            Self::Groups => "groups",
            Self::Kinds => "kinds",
        }
    }

    /// Columns that can be sorted by.
    const fn columns(self) -> usize {
        match self {
            Self::Overview => 1,
            Self::Shards => super::view::shards::COLUMNS.len(),
            Self::Groups => super::view::groups::COLUMNS.len(),
            Self::Kinds => super::view::kinds::COLUMNS.len(),
        }
    }
}

/// By which column, and whether the largest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: usize,
    pub(super) descending: bool,
}

pub(super) struct App {
    pub(super) title: Option<String>,
    pub(super) look: Option<Look>,
    pub(super) updates: VecDeque<Update>,
    pub(super) view: View,
    pub(super) sorts: [Sort; 4],
    pub(super) scroll: usize,
    /// Rows that the last picture had room for, and how many there were.
    pub(super) page: usize,
    pub(super) rows: usize,
    pub(super) helps: bool,
}

impl App {
    pub(super) fn new(title: Option<String>) -> Self {
        let ascending = Sort { column: 0, descending: false };
        // The groups furthest behind and the most frequent kinds are asked for most.
        let groups = Sort { column: 3, descending: true };
        let kinds = Sort { column: 1, descending: true };
        Self {
            title,
            look: None,
            updates: VecDeque::new(),
            view: View::Overview,
            sorts: [ascending, ascending, groups, kinds],
            scroll: 0,
            page: 1,
            rows: 0,
            helps: false,
        }
    }

    pub(super) fn remember(&mut self, updates: impl IntoIterator<Item = Update>) {
        self.updates.extend(updates);
        while self.updates.len() > UPDATES {
            self.updates.pop_front();
        }
    }

    pub(super) fn sort(&self) -> Sort {
        self.sorts[self.view as usize]
    }

    /// Does what a key says; false when it says to end.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let last = self.rows.saturating_sub(self.page);
        match key.code {
            KeyCode::Char('c') if control => return false,
            KeyCode::Char('q') => return false,
            KeyCode::Esc if self.helps => self.helps = false,
            KeyCode::Esc => return false,
            KeyCode::Char('?' | 'h') => self.helps = !self.helps,
            KeyCode::Char('1' | 'o') => self.show(View::Overview),
            KeyCode::Char('2' | 's') => self.show(View::Shards),
            KeyCode::Char('3' | 'g') => self.show(View::Groups),
            KeyCode::Char('4' | 'k') => self.show(View::Kinds),
            KeyCode::Tab | KeyCode::Right => self.turn(1),
            KeyCode::BackTab | KeyCode::Left => self.turn(View::ALL.len() - 1),
            KeyCode::Down => self.scroll = (self.scroll + 1).min(last),
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                self.scroll = (self.scroll + self.page).min(last);
            }
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(self.page),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = last,
            KeyCode::Char('>') => self.sort_by(1),
            KeyCode::Char('<') => self.sort_by(self.view.columns() - 1),
            KeyCode::Char('r') => {
                let sort = &mut self.sorts[self.view as usize];
                sort.descending = !sort.descending;
            }
            _ => {}
        }
        true
    }

    fn show(&mut self, view: View) {
        (self.view, self.scroll, self.helps) = (view, 0, false);
    }

    fn turn(&mut self, by: usize) {
        self.show(View::ALL[(self.view as usize + by) % View::ALL.len()]);
    }

    fn sort_by(&mut self, next: usize) {
        let columns = self.view.columns();
        let sort = &mut self.sorts[self.view as usize];
        sort.column = (sort.column + next) % columns;
        // Of figures the large ones are what is looked for, of names the first.
        sort.descending = sort.column > 0;
        self.scroll = 0;
    }
}
