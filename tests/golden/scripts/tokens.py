"""Token ids as diffusers feeds them to the text encoder, on a hard set: tokens.json; and the same tokenizer as one tokenizer.json."""

import common
from tiny_pipeline import tokenizer

TEXTS = [
    "",
    " ",
    "a photo of the cat",
    "A PHOTO of ThE Cat",
    "two blue stars on the beach",
    "  two   blue\tstars\non the\r\n beach  ",
    "it's the dog's, isn't it? we'll they've I'm you'd don't IT'S DON'T",
    "it’s the dog’s “photo” — don’t…",
    "1234567890 3.14 1,000 2x4 007",
    "hello, world! (really?) [yes] {no} <maybe> #tag @you $5 50% a_b-c/d\\e",
    "!!!???...,,,;;;:::",
    "café naïve Zürich Å ñ ß ŒØ",
    "cafe\u0301 nai\u0308ve A\u030a e\u0301\u0302\u0323",
    "ﬁne ﬀ ① ½ Ⅷ ㎏ ｆｕｌｌ　ｗｉｄｔｈ",
    "İstanbul ISPARTA ıI ΣΑΣ ẞ ǅ",
    "二つの青い星が浜辺に",
    "两只猫在雪地里 三",
    "고양이 두 마리",
    "три красных звезды Ёж",
    "نجمتان زرقاوان على الشاطئ",
    "שני כוכבים",
    "दो नीले तारे",
    "🐱",
    "a 🐱 on the 🏖️ with 👨‍👩‍👧‍👦 and 🇫🇷 👍🏽",
    "❤️❤❤️‍🔥",
    "zero\u200bwidth\u200djoin\ufeff nbsp\u00a0here \u2028line \u2029para soft\u00adhyphen",
    "control\x00\x01\x07\x1b chars\x7f",
    "\ufffd \ue000 \U0010ffff",
    "<|startoftext|> a cat <|endoftext|> the dog",
    "<|endoftext|>",
    "<|EndOfText|> <|startoftext|",
    "a</w> b</w> </w>",
    "starstarstarheartfishstar",
    "x" * 30,
    "a " * 74,
    "a " * 75,
    "a " * 76,
    "a " * 300,
    "two blue stars on the beach, " * 40,
    "🐱" * 60,
    "二" * 100,
    "!" * 200,
    "the " * 74 + "fish",
    "the " * 75 + "fish",
    "a,b.c;d:e'f\"g`h~i^j&k*l+m=n|o",
    "'s 't 're 've 'm 'll 'd ' s",
    "a'stop 'satin ''s",
    "&amp; &lt;b&gt; &eacute;",
    "ｔｗｏ　ｂｌｕｅ",
    "⁰¹²³ ٠١٢٣ ०१२ ４５",
    "H₂O x² a⃝ z̷a̷l̷g̷o̷",
    "𝓯𝓪𝓷𝓬𝔂 𝟙𝟚𝟛 𝐁𝐨𝐥𝐝",
    "tab\tnewline\nvertical\x0bform\x0cend",
    "CamelCaseWords snake_case kebab-case",
    "e.g. U.S.A. Ph.D. 10:30am",
]


def main():
    made, rows = tokenizer(), []
    for text in TEXTS:
        ids = made(text, padding="max_length", max_length=made.model_max_length, truncation=True).input_ids
        rows.append({"text": text, "ids": ids, "length": len(made(text).input_ids)})
    common.write_json_rows(common.GOLDEN / "tokens.json", rows)
    made.backend_tokenizer.save(str(common.GOLDEN / "tokenizer.json"))
    print(f"tokens: {len(rows)} texts")


if __name__ == "__main__":
    main()
