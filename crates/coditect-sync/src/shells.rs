//! How what is offered is written for a shell: what a folder is called must not run when the line is sent off.
//!
//! zsh, fish and elvish quote by themselves what they put into the line; bash and PowerShell put it there as it is.
//! No shell is offered control characters, see `complete`.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::CompletionCandidate;
use clap_complete::engine::complete;
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell as Bare, Shells, Zsh};

/// All that are served.
pub(crate) const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// Which of the words is completed. The script says these three to the program.
const INDEX: &str = "_CODITECT_SYNC_INDEX";
/// The part of it that is replaced, as it was typed.
const PART: &str = "_CODITECT_SYNC_PART";
/// The line up to the cursor.
const LINE: &str = "_CODITECT_SYNC_LINE";

/// Asks for lines that are in the shell's quotes already, and has none of them expanded.
const SCRIPT: &str = r#"
_FUNCTION() {
    local line
    COMPREPLY=()
    compopt +o nospace 2>/dev/null
    while IFS= read -r line; do
        if [[ -n $line ]]; then
            COMPREPLY+=("$line")
        fi
    done <<<"$(
        _CODITECT_SYNC_INDEX="$COMP_CWORD" _CODITECT_SYNC_PART="$2" \
            _CODITECT_SYNC_LINE="${COMP_LINE:0:COMP_POINT}" \
            VARIABLE=bash PROGRAM -- "${COMP_WORDS[@]}" 2>/dev/null
    )"
    if [[ ${COMPREPLY-} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
if [[ ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 || ${BASH_VERSINFO[0]} -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _FUNCTION NAME
else
    complete -o nospace -o bashdefault -F _FUNCTION NAME
fi
"#;

/// bash: what is offered is put into the line as it is.
#[derive(Debug)]
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let script = SCRIPT
            .replace("FUNCTION", &format!("{}_complete", name.replace('-', "_")))
            .replace("VARIABLE", var)
            .replace("PROGRAM", &Quotes::None.of(completer))
            .replace("NAME", &Quotes::None.of(bin));
        buf.write_all(script.trim_start().as_bytes())
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        mut args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let environment = sync_config::read_environment();
        let told = |variable: &str| environment.variable(variable).unwrap_or_default().into_string().ok();
        // What is not UTF-8 cannot be completed.
        let (Some(index), Some(line), Some(part)) = (told(INDEX), told(LINE), told(PART)) else {
            return Ok(());
        };
        let Ok(index) = index.parse::<usize>() else { return Ok(()) };
        let Some(quotes) = Quotes::around(&line, &part) else { return Ok(()) };
        let typed = quotes.undone(&part).into();
        match args.get_mut(index) {
            Some(word) => *word = typed,
            None => args.push(typed),
        }
        for line in quotes.lines(&values(&complete(cmd, args, index, current_dir)?)) {
            writeln!(buf, "{line}")?;
        }
        Ok(())
    }
}

/// What is offered, as text.
fn values(offered: &[CompletionCandidate]) -> Vec<&str> {
    offered.iter().filter_map(|candidate| candidate.get_value().to_str()).collect()
}

/// The quotes of bash that the cursor is within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

impl Quotes {
    /// Those around a part that the line ends with; `None` where it is not certain, and nothing may be put there. A quote
    /// that is open is not in the part that bash tells.
    fn around(line: &str, part: &str) -> Option<Self> {
        let mut before = line.strip_suffix(part)?.chars().rev();
        let quotes = match before.next() {
            Some('\'') => Self::Single,
            Some('"') => Self::Double,
            _ => return Some(Self::None),
        };
        // Else it is in the middle of a word: `a'`, `$'`.
        before.next().is_none_or(|letter| letter.is_whitespace() || "=:".contains(letter)).then_some(quotes)
    }

    /// What was typed means.
    fn undone(self, part: &str) -> String {
        let (mut quotes, mut meant) = (self, String::new());
        let mut letters = part.chars().peekable();
        while let Some(letter) = letters.next() {
            quotes = match (quotes, letter) {
                (Self::None, '\'') => Self::Single,
                (Self::None, '"') => Self::Double,
                (Self::Single, '\'') | (Self::Double, '"') => Self::None,
                (Self::None, '\\') => {
                    meant.extend(letters.next());
                    quotes
                }
                (Self::Double, '\\') => {
                    meant.push(letters.next_if(|next| "$`\"\\".contains(*next)).unwrap_or(letter));
                    quotes
                }
                (_, letter) => {
                    meant.push(letter);
                    quotes
                }
            };
        }
        meant
    }

    /// A word of bash that is exactly this text.
    fn of(self, text: &str) -> String {
        text.chars().map(|letter| self.letter(letter)).collect()
    }

    fn letter(self, letter: char) -> String {
        let plain = match self {
            Self::None => !letter.is_ascii() || letter.is_ascii_alphanumeric() || "_-./,+%".contains(letter),
            Self::Single => letter != '\'',
            Self::Double => !"$`\"\\!".contains(letter),
        };
        match (plain, self) {
            (true, _) => letter.to_string(),
            (false, Self::None) => format!("\\{letter}"),
            (false, Self::Double) if letter != '!' => format!("\\{letter}"),
            (false, Self::Single | Self::Double) => self.apart(letter),
        }
    }

    /// The letter outside of the quotes around it.
    fn apart(self, letter: char) -> String {
        let alone = if letter == '\'' { r#""'""#.to_owned() } else { format!("'{letter}'") };
        match self {
            Self::None => alone,
            Self::Single => format!("'{alone}'"),
            Self::Double => format!("\"{alone}\""),
        }
    }

    /// All of these as words. bash puts into the line what all begin with alike: that is not half of a quoted letter.
    fn lines(self, values: &[&str]) -> Vec<String> {
        let mut lines: Vec<String> = values.iter().map(|value| self.of(value)).collect();
        let [first, others @ ..] = values else { return lines };
        let alike = others.iter().fold(first.len(), |alike, other| {
            let pairs = first[..alike].char_indices().zip(other.chars());
            let differs = pairs.clone().find(|((_, one), other)| one != other);
            differs.map_or_else(|| alike.min(other.len()), |((at, _), _)| at)
        });
        let next: Option<Vec<char>> = values.iter().map(|value| value[alike..].chars().next()).collect();
        if let (Some(next), true) = (next, lines.len() > 1)
            && next.iter().all(|letter| self.letter(*letter).starts_with('\\'))
        {
            let (begin, rest) = first.split_at(alike);
            let rest: String = rest.chars().skip(1).collect();
            lines[0] = self.of(begin) + &self.apart(next[0]) + &self.of(&rest);
        }
        lines
    }
}

/// PowerShell: what is offered is put into the line as it is, too.
#[derive(Debug)]
struct Powershell;

impl EnvCompleter for Powershell {
    fn name(&self) -> &'static str {
        Bare.name()
    }

    fn is(&self, name: &str) -> bool {
        Bare.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        Bare.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let index = args.len().saturating_sub(1);
        for candidate in complete(cmd, args, index, current_dir)? {
            let Some(value) = candidate.get_value().to_str() else { continue };
            write!(buf, "{}", in_powershell(value))?;
            if let Some(help) = candidate.get_help() {
                write!(buf, "\t{}", help.to_string().lines().next().unwrap_or_default())?;
            }
            writeln!(buf)?;
        }
        Ok(())
    }
}

/// A word of PowerShell that is exactly this text. It takes typographic quotes for quotes.
fn in_powershell(text: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "_-./\\:=+".contains(letter);
    if text.chars().all(plain) {
        return text.to_owned();
    }
    let doubled = |letter: char| {
        let again = "'\u{2018}\u{2019}\u{201a}\u{201b}".contains(letter);
        std::iter::repeat_n(letter, if again { 2 } else { 1 })
    };
    format!("'{}'", text.chars().flat_map(doubled).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_bash_is_what_was_meant_and_what_was_typed_is_understood() {
        for text in
            ["/home/ada/api", "a b", "zz$(touch x)", "it's", "\"", "`x`", "a\\b", "!x", "é*?[~#", "k=v:w@x"]
        {
            for quotes in [Quotes::None, Quotes::Single, Quotes::Double] {
                let word = quotes.of(text);
                assert_eq!(quotes.undone(&word), text, "{quotes:?}: {word}");
            }
        }
        assert_eq!(Quotes::None.of("a b$(c)"), r"a\ b\$\(c\)");
        assert_eq!(Quotes::Double.of("a b$(c)!"), r#"a b\$(c)"'!'""#);
        assert_eq!(Quotes::Single.of("it's $(c)"), r#"it'"'"'s $(c)"#);
        // What is half typed.
        for (typed, meant) in [(r"a\", "a"), ("'a b'c", "a bc"), (r"a\ b'c", "a bc"), ("$HOME/x", "$HOME/x")]
        {
            assert_eq!(Quotes::None.undone(typed), meant);
        }
    }

    #[test]
    fn nothing_is_put_where_it_is_not_certain_which_quotes_are_open() {
        for (line, part, expected) in [
            ("coditect-sync resolve zz", "zz", Some(Quotes::None)),
            ("coditect-sync resolve ", "", Some(Quotes::None)),
            ("coditect-sync resolve 'zz", "zz", Some(Quotes::Single)),
            ("coditect-sync resolve '", "", Some(Quotes::Single)),
            ("coditect-sync --socket=\"zz", "zz", Some(Quotes::Double)),
            ("coditect-sync resolve 'a'zz", "'a'zz", Some(Quotes::None)),
            ("coditect-sync resolve a'zz", "zz", None),
            ("coditect-sync resolve $'zz", "zz", None),
            ("coditect-sync resolve zz", "other", None),
        ] {
            assert_eq!(Quotes::around(line, part), expected, "{line}");
        }
    }

    #[test]
    fn what_words_begin_with_alike_is_no_half_of_a_quoted_letter() {
        for (values, lines) in [
            (&["tw$a", "tw b"][..], &["tw'$'a", r"tw\ b"][..]),
            (&["tw$a", "twb"], &[r"tw\$a", "twb"]),
            (&["tw$a", "tw$b"], &[r"tw\$a", r"tw\$b"]),
            (&["tw$", "tw$ b"], &[r"tw\$", r"tw\$\ b"]),
            (&["é$a", "é'b", "é b"], &["é'$'a", r"é\'b", r"é\ b"]),
            (&["$a"], &[r"\$a"]),
            (&[], &[]),
        ] {
            assert_eq!(Quotes::None.lines(values), lines);
        }
        assert_eq!(Quotes::Double.lines(&["tw$a", "tw`b"]), ["tw\"'$'\"a", r"tw\`b"]);
    }

    #[test]
    fn a_word_of_powershell_runs_nothing() {
        for (text, word) in [
            ("/home/ada/api", "/home/ada/api"),
            ("--json", "--json"),
            ("zz$(touch x)", "'zz$(touch x)'"),
            ("it's", "'it''s'"),
            ("a\u{2019}; b", "'a\u{2019}\u{2019}; b'"),
        ] {
            assert_eq!(in_powershell(text), word);
        }
    }
}
