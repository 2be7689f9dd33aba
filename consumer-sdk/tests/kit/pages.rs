//! What pages say of numbers is what the code has.

#[test]
fn the_changelog_names_the_layouts() {
    let (rings, records) = (mixcord::ring::LAYOUT_VERSION, mixcord::event::record::LAYOUT);
    let line = format!("Layouts: rings {rings}, records {records}");
    let newest =
        include_str!("../../../CHANGELOG.md").lines().find(|line| line.starts_with("Layouts: "));
    assert!(newest.is_some_and(|newest| newest.starts_with(&line)), "{newest:?}, not {line:?}");
}

#[test]
fn the_greeter_is_what_the_readme_promises() {
    let readme = include_str!("../../../README.md");
    let greeter = include_str!("../../examples/greeter.rs");
    assert!(readme.contains("(30 lines)") && greeter.lines().count() <= 30);
}
