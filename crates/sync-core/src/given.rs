//! Which fields of a project somebody gave: what is found out by looking does not take their place.

/// A field that can be given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Field {
    /// Its name.
    Name,
    /// Its main language.
    Language,
    /// Its framework.
    Framework,
    /// How it stands to others.
    Kind,
    /// The project that encloses it.
    Parent,
}

impl Field {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Name, Self::Language, Self::Framework, Self::Kind, Self::Parent];

    /// The name it has in every document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "project_name",
            Self::Language => "primary_language",
            Self::Framework => "framework",
            Self::Kind => "project_type",
            Self::Parent => "parent_project_uuid",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Name => 1,
            Self::Language => 2,
            Self::Framework => 4,
            Self::Kind => 8,
            Self::Parent => 16,
        }
    }
}

/// The given fields of a project.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Given {
    fields: u8,
    /// What was given before is given no longer; never part of a record.
    anew: bool,
}

impl Given {
    /// These, and no others from here on, whatever was given before.
    #[must_use]
    pub fn anew(self) -> Self {
        Self { anew: true, ..self }
    }

    /// This one too.
    #[must_use]
    pub fn with(self, field: Field) -> Self {
        Self { fields: self.fields | field.bit(), ..self }
    }

    /// These and those of another.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { fields: self.fields | other.fields, anew: self.anew || other.anew }
    }

    /// Whether this one is.
    pub fn has(self, field: Field) -> bool {
        self.fields & field.bit() != 0
    }

    /// Those that were given `before` and are not given anew.
    pub fn kept(self, before: Self) -> impl Iterator<Item = Field> {
        Field::ALL.into_iter().filter(move |field| !self.anew && before.has(*field) && !self.has(*field))
    }

    /// As a number, for a record.
    pub fn bits(self) -> i64 {
        i64::from(self.fields)
    }

    /// Reads [`Given::bits`]; what a newer program may have meant is left out.
    pub fn from_bits(bits: i64) -> Self {
        Field::ALL
            .into_iter()
            .filter(|field| bits & i64::from(field.bit()) != 0)
            .fold(Self::default(), Self::with)
    }
}

impl FromIterator<Field> for Given {
    fn from_iter<T: IntoIterator<Item = Field>>(fields: T) -> Self {
        fields.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_kept_unless_it_is_given_anew_or_taken_back() {
        let before = Given::default().with(Field::Name).with(Field::Language);
        let kept = |given: Given| given.kept(before).collect::<Vec<_>>();
        assert_eq!(kept(Given::default()), [Field::Name, Field::Language]);
        assert_eq!(kept(Given::default().with(Field::Name)), [Field::Language]);
        assert_eq!(kept(Given::default().with(Field::Kind).anew()), []);
        assert_eq!(Given::default().with(Field::Name).and(Given::default().with(Field::Language)), before);
    }

    #[test]
    fn every_field_has_a_bit_of_its_own() {
        for field in Field::ALL {
            let given = Given::default().with(field);
            assert_eq!(Given::from_bits(given.bits()), given);
            assert_eq!(Field::ALL.into_iter().filter(|other| given.has(*other)).count(), 1, "{field:?}");
        }
        assert_eq!(Given::from_bits(!0), Field::ALL.into_iter().collect());
        assert_eq!(Given::from_bits(Given::default().anew().bits()), Given::default());
    }
}
