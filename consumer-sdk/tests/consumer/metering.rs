//! What can be read of a consumer while it runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mixcord::Event;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use crate::rig::{Rig, is_alone, until};

#[test]
fn lag_and_counts_are_read_while_run_has_the_consumer() {
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").concurrency(2).retry(Duration::ZERO, Duration::ZERO);
    let consumer = consumer.connect_blocking().expect("connected");
    let (meter, stop) = (consumer.meter(), consumer.stop_handle());
    (1..=5).for_each(|guild| rig.message(guild, 1));
    assert_eq!((meter.read().lag, meter.read().in_work), (Some(5), 0));
    let gate = Mutex::new(());
    let shut = gate.lock().expect("sound");
    std::thread::scope(|scope| {
        let gate = &gate;
        scope.spawn(move || {
            let handler = move |event: Event| {
                let _open = gate.lock();
                (event.attempt() > 1 || event.guild_id() != Some(3)).then_some(()).ok_or("once")
            };
            consumer.run_blocking(handler).expect("no error");
        });
        until("two to be in work", || meter.read().in_work == 2);
        let reading = meter.read();
        assert!(reading.oldest.is_some() && reading.lag == Some(5) && reading.handled == 0);
        drop(shut);
        until("all to be handled", || meter.read().handled == 5);
        until("nothing to be left", || meter.read().lag == Some(0) && meter.read().in_work == 0);
        stop.stop();
    });
    let reading = meter.read();
    assert_eq!((reading.failed, reading.retried, reading.dead), (1, 1, 0));
    assert_eq!((reading.lag, reading.oldest), (None, None), "it has ended");
}

/// Fields of the spans named `event`.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "event" {
            let mut fields = Fields(String::new());
            attributes.record(&mut fields);
            self.0.lock().expect("sound").push(fields.0);
        }
    }
}

#[test]
fn each_handler_runs_in_a_span_that_names_its_event() {
    // Whether a span is asked for is decided for all threads of a process.
    if !is_alone("metering::each_handler_runs_in_a_span_that_names_its_event") {
        return;
    }
    let mut rig = Rig::new();
    let consumer = rig.consumer().group("bot").connect_blocking().expect("connected");
    rig.message(7, 1);
    let stop = consumer.stop_handle();
    let spans = Spans::default();
    let subscriber = registry().with(spans.clone());
    let _log = tracing::subscriber::set_default(subscriber);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let run = consumer.run(move |_| {
        assert_eq!(tracing::Span::current().metadata().map(|span| span.name()), Some("event"));
        stop.stop();
        std::future::ready(())
    });
    runtime.expect("a runtime").block_on(run).expect("no error");
    let spans = spans.0.lock().expect("sound").clone();
    let expected = "kind=\"MESSAGE_CREATE\" guild=7 identity=000000000000004d-1-0-0 attempt=1 ";
    assert_eq!(spans, [expected]);
}
