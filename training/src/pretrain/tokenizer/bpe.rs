//! Byte pair encoding (Sennrich et al. 2016) over weighted words.

use std::collections::BTreeMap;

use super::WORD_END;

/// Tokens in the order of their ids, markers left out, and the merges that made those after the first 512.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// Token texts by id, in CLIP's printable stand-ins for bytes.
    pub tokens: Vec<String>,
    /// What was joined, in order.
    pub merges: Vec<(String, String)>,
}

/// GPT-2's printable stand-ins for the 256 bytes, in CLIP's order: printable bytes as themselves, the others after them.
fn byte_symbols() -> Vec<char> {
    const OTHERS_FROM: u32 = 256;
    let printable = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let (themselves, others): (Vec<u32>, Vec<u32>) = (0..OTHERS_FROM).partition(printable);
    let stand_ins = (OTHERS_FROM..).take(others.len());
    themselves.into_iter().chain(stand_ins).filter_map(char::from_u32).collect()
}

/// Learns merges over `words` (text in ASCII, weight) until there are `size` tokens.
pub(super) fn learn(words: &BTreeMap<String, u64>, size: usize) -> Vocabulary {
    let symbols = byte_symbols();
    let mut tokens: Vec<String> = symbols.iter().map(char::to_string).collect();
    tokens.extend(symbols.iter().map(|symbol| format!("{symbol}{WORD_END}")));
    let mut split: Vec<(Vec<String>, u64)> = words.iter().map(|(word, &weight)| (letters(word), weight)).collect();
    let mut merges = Vec::new();
    while tokens.len() < size {
        let Some(pair) = most_frequent(&split) else { break };
        let joined = format!("{}{}", pair.0, pair.1);
        split.iter_mut().for_each(|(parts, _)| join(parts, &pair));
        if !tokens.contains(&joined) {
            tokens.push(joined);
        }
        merges.push(pair);
    }
    Vocabulary { tokens, merges }
}

fn letters(word: &str) -> Vec<String> {
    let mut parts: Vec<String> = word.chars().map(String::from).collect();
    if let Some(last) = parts.last_mut() {
        last.push_str(WORD_END);
    }
    parts
}

fn most_frequent(split: &[(Vec<String>, u64)]) -> Option<(String, String)> {
    let mut weights: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for (parts, weight) in split {
        for pair in parts.windows(2) {
            *weights.entry((&pair[0], &pair[1])).or_default() += weight;
        }
    }
    let heaviest = weights.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
    heaviest.map(|((left, right), _)| (left.to_owned(), right.to_owned()))
}

fn join(parts: &mut Vec<String>, (left, right): &(String, String)) {
    let mut at = 0;
    while at + 1 < parts.len() {
        if parts[at] == *left && parts[at + 1] == *right {
            let right = parts.remove(at + 1);
            parts[at].push_str(&right);
        }
        at += 1;
    }
}
