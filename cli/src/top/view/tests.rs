use mixcord::event::bridge::{BridgeFigures, GatewayFigures, LeaseFigures, StreamFigures};
use mixcord::operator::Instance;
use mixcord_monitor::rates::Rates;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::top::Look;
use crate::top::app::{App, View};
use crate::top::view::draw;

/// A look at an instance with so many shards, half of them connected, and an output ring.
fn look(rig: &rig::Rig) -> Look {
    let overview = Instance::open(&rig.instance).expect("a name").overview().expect("a list");
    let findings = mixcord_monitor::findings::of_instance(&overview);
    let rates = Rates::of(&overview);
    Look { rates, findings, overview, running: std::time::Duration::from_secs(7) }
}

fn screen(app: &mut App, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal.draw(|frame| draw(app, frame)).expect("drawn");
    let buffer = terminal.backend().buffer().clone();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
    (0..height).map(row).map(|row| row.trim_end().to_owned()).collect()
}

fn press(app: &mut App, key: KeyCode) -> bool {
    app.key(KeyEvent::new(key, KeyModifiers::NONE))
}

#[test]
fn sixty_four_shards_are_usable_on_80_by_24() {
    let rig = rig::Rig::with_shards(64);
    let mut app = App::new(Some("\x1b[1mA title\x1b[0m".to_owned()));
    app.look = Some(look(&rig));
    let overview = screen(&mut app, 80, 24);
    assert!(overview[0].contains(&rig.instance) && overview[1] == "A title", "{overview:#?}");
    assert!(overview.iter().any(|row| row.contains("Discord 32/64")), "{overview:#?}");
    let cells: usize = overview.iter().map(|row| row.matches('▁').count()).sum();
    assert_eq!(cells, 64, "{overview:#?}");
    assert!(overview.iter().any(|row| row.starts_with("out ")), "{overview:#?}");
    assert!(overview[23].contains("q end"), "{overview:#?}");

    assert!(press(&mut app, KeyCode::Char('s')));
    let shards = screen(&mut app, 80, 24);
    assert!(shards[2].contains("shard") && shards[2].contains("events/s"), "{shards:#?}");
    assert!(shards[3].starts_with("0/64") && shards[22].starts_with("19/64"), "{shards:#?}");
    assert!(shards[23].contains("1-20 of 64"), "{shards:#?}");
    press(&mut app, KeyCode::PageDown);
    assert!(screen(&mut app, 80, 24)[3].starts_with("20/64"));
    press(&mut app, KeyCode::End);
    assert!(screen(&mut app, 80, 24)[22].starts_with("63/64"));
    press(&mut app, KeyCode::Char('r'));
    press(&mut app, KeyCode::Home);
    assert!(screen(&mut app, 80, 24)[3].starts_with("63/64"), "the order is turned");
    // By state: those that are connected come last in the alphabet's other direction.
    press(&mut app, KeyCode::Char('>'));
    assert!(screen(&mut app, 80, 24)[3].contains("identifying"));
}

#[test]
fn a_standby_is_seen_and_whom_it_waits_for() {
    let rig = rig::Rig::with_shards(2);
    let stream = |writer: &str| StreamFigures { writer: writer.into(), ..StreamFigures::default() };
    let lease = |state: &str, generation| LeaseFigures {
        state: state.into(),
        generation,
        ..LeaseFigures::default()
    };
    let gateway = GatewayFigures {
        last: 1,
        count: 2,
        state: "standby".into(),
        why: "so it is".into(),
        ..GatewayFigures::default()
    };
    let _bridge = rig.bridge(&BridgeFigures {
        end: "receive".into(),
        streams: vec![stream("prod on a"), stream("prod on a"), stream("prod on b")],
        leases: vec![lease("held", 7), lease("held", 9), lease("lapsed", 8)],
        gateways: vec![gateway],
        ..BridgeFigures::default()
    });
    let mut app = App::new(None);
    app.look = Some(look(&rig));
    let overview = screen(&mut app, 80, 24);
    let at = overview.iter().position(|row| row.starts_with("bridge receive")).expect("there");
    assert!(overview[at].ends_with("standby"), "{overview:#?}");
    assert_eq!(overview[at + 1], "  leases of prod on a, 1 free, generation 9");
    assert_eq!(overview[at + 2], "  gateway 0..1/2  standby: so it is");
}

#[test]
fn keys_lead_everywhere_and_out() {
    let rig = rig::Rig::with_shards(2);
    let mut app = App::new(None);
    app.look = Some(look(&rig));
    for (key, view) in [
        (KeyCode::Char('3'), View::Groups),
        (KeyCode::Right, View::Kinds),
        (KeyCode::Tab, View::Overview),
        (KeyCode::Left, View::Kinds),
    ] {
        assert!(press(&mut app, key));
        assert_eq!(app.view, view);
        // Whatever the size, it is drawn.
        for (width, height) in [(80, 24), (20, 5), (1, 1), (300, 100)] {
            screen(&mut app, width, height);
        }
    }
    press(&mut app, KeyCode::Char('?'));
    assert!(screen(&mut app, 80, 24).iter().any(|row| row.contains("turn the order")));
    assert!(press(&mut app, KeyCode::Esc), "Esc leaves the help first");
    assert!(!press(&mut app, KeyCode::Esc) && !press(&mut app, KeyCode::Char('q')));
    assert!(!app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
}

mod rig {
    use std::fs::{self, File};
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use mixcord::event::bridge::BridgeFigures;
    use mixcord::event::status::ShardStatus;
    use mixcord::event::topology;
    use mixcord_ring::{Geometry, GroupSpec, Namespace, Producer};

    pub(super) struct Rig {
        pub(super) instance: String,
        namespace: Namespace,
        _rings: Vec<Producer>,
    }

    impl Rig {
        pub(super) fn with_shards(count: u16) -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let instance = format!("t{}-top-{number}", std::process::id());
            let namespace = Namespace::new(&topology::namespace(&instance)).expect("a name");
            let bell = namespace.bell().expect("a bell");
            let geometry = Geometry::new(64, 64 << 10, 2, 1, 2).expect("a geometry");
            let make = |name: &str| {
                let group = [GroupSpec::durable("bot")];
                Producer::create(&namespace, name, geometry, &group, &bell).expect("a ring")
            };
            let shard = |id: u16| {
                let mut ring = make(&topology::shard_ring(id, count));
                let state = if id.is_multiple_of(2) { "connected" } else { "identifying" };
                let status = ShardStatus { state: state.into(), ..ShardStatus::default() };
                ring.set_checkpoint(&status.encode()).expect("short");
                ring.publish();
                ring
            };
            let rings = (0..count).map(shard).chain([make(topology::OUTPUT_RING)]).collect();
            Self { instance, namespace, _rings: rings }
        }

        /// What a bridge says of itself, which lives as long as the file is locked.
        pub(super) fn bridge(&self, figures: &BridgeFigures) -> File {
            let folder = topology::bridge_dir(&self.instance);
            fs::create_dir_all(&folder).expect("a folder");
            let path = Path::new(&folder).join(&figures.end);
            fs::write(&path, figures.encode("mixcord-bridge 0.1.0")).expect("written");
            let file = File::open(path).expect("a file");
            file.lock().expect("nobody else's");
            file
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            self._rings.clear();
            let _ = fs::remove_dir_all(topology::bridge_dir(&self.instance));
            let _ = self.namespace.remove_all();
        }
    }
}
