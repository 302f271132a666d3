use super::*;

fn of_kind(prompt: &str, kind: Kind) -> Vec<String> {
    contrasts(prompt, 1000).into_iter().filter(|c| c.kind == kind).map(|c| c.prompt).collect()
}

#[test]
fn each_kind_changes_what_it_names_and_nothing_else() {
    let prompt = "two blue stars on the beach";
    assert_eq!(of_kind(prompt, Kind::Count)[..2], ["one blue star on the beach", "three blue stars on the beach"]);
    assert_eq!(of_kind(prompt, Kind::Count).len(), MOST - 1);
    assert_eq!(of_kind(prompt, Kind::Colour)[0], "two purple stars on the beach");
    assert_eq!(of_kind(prompt, Kind::Object)[0], "two blue hearts on the beach");
    assert_eq!(of_kind(prompt, Kind::Background)[0], "two blue stars in the forest");
}

#[test]
fn free_english_is_read() {
    // The prompt, a kind, and one of its contrasts.
    let cases = [
        (
            "A photo of a dog in the park, highly detailed",
            Kind::Object,
            "A photo of a horse in the park, highly detailed",
        ),
        (
            "A photo of a dog in the park, highly detailed",
            Kind::Count,
            "A photo of two dogs in the park, highly detailed",
        ),
        ("An orange cat", Kind::Colour, "A yellow cat"),
        ("a red car", Kind::Colour, "an orange car"),
        ("a red car", Kind::Object, "a red cat"),
        ("an owl at sunset", Kind::Object, "a penguin at sunset"),
        ("3 wolves under the night sky", Kind::Count, "one wolf under the night sky"),
        ("3 wolves under the night sky", Kind::Background, "3 wolves in the mountains"),
        ("a grey horse beside a white horse", Kind::Colour, "a turquoise horse beside a white horse"),
        ("a grey horse beside a white horse", Kind::Colour, "a grey horse beside a gray horse"),
        ("one child with two balloons", Kind::Count, "one child with three balloons"),
        ("five sheep", Kind::Count, "one sheep"),
    ];
    for (prompt, kind, contrast) in cases {
        let found = of_kind(prompt, kind);
        // A changed colour must not repeat the other horse's meaning by chance; the lexicon does not know that much.
        assert!(found.iter().any(|one| one == contrast), "{prompt:?} has no {contrast:?} among {found:?}");
    }
}

#[test]
fn what_the_lexicon_does_not_know_has_no_contrast() {
    for prompt in ["", "liberty", "a mood", "two of them", "§ 12, æ—ö", "an orange in a bag", "a man's hat's"] {
        let kinds: Vec<Kind> = contrasts(prompt, 10).into_iter().map(|c| c.kind).collect();
        assert!(kinds.is_empty(), "{prompt:?}: {kinds:?}");
    }
}

#[test]
fn words_that_mean_the_same_are_no_contrast() {
    for prompt in of_kind("a grey fish", Kind::Colour) {
        assert!(!prompt.contains("gray") && !prompt.contains("silver"), "{prompt}");
    }
    assert!(of_kind("a fish at the beach", Kind::Background).iter().all(|prompt| !prompt.contains("beach")));
}

#[test]
fn kinds_take_turns_and_no_prompt_comes_twice() {
    let prompt = "two blue stars on the beach";
    let nine = contrasts(prompt, 9);
    let kinds: Vec<Kind> = nine.iter().map(|contrast| contrast.kind).collect();
    assert_eq!(kinds, Kind::ALL.into_iter().cycle().take(9).collect::<Vec<_>>());
    let all = contrasts(prompt, 1000);
    let different: std::collections::HashSet<&str> = all.iter().map(|contrast| contrast.prompt.as_str()).collect();
    assert_eq!(different.len(), all.len());
    assert!(!different.contains(prompt));
    assert_eq!(nine, all[..9]);
}

#[test]
fn only_known_words_come_in() {
    let known =
        |word: &str| ["star", "stars", "cat", "cats", "blue", "red", "one", "two", "at", "night"].contains(&word);
    let found: Vec<String> =
        contrasts_among("two blue stars on the beach", 99, known).into_iter().map(|contrast| contrast.prompt).collect();
    let wanted = [
        "one blue star on the beach",
        "two red stars on the beach",
        "two blue cats on the beach",
        "two blue stars at night",
    ];
    assert_eq!(found, wanted);
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(prompt in "\\PC{0,80}") {
        for contrast in contrasts(&prompt, 20) {
            assert_ne!(contrast.prompt, prompt);
        }
    }
}
