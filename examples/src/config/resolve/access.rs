//! The insides of sequences, maps and enums; in a map `x-file` is read as `x`.

use serde::de::value::StringDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::value::{Source, Text};
use super::{Resolving, Visiting};

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Resolving<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Resolving { inner: deserializer, key: self.key })
    }
}

/// A sequence, with the key whose value it is.
pub(super) struct Seq<A> {
    pub(super) inner: A,
    pub(super) key: String,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Seq<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.inner.next_element_seed(Resolving { inner: seed, key: self.key.clone() })
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// A map, and the names of the struct that is made of it.
pub(super) struct Map<A> {
    inner: A,
    fields: &'static [&'static str],
    /// The key read last, and whether its value is the path of a file.
    key: String,
    file: bool,
    seen: Vec<String>,
}

impl<A> Map<A> {
    pub(super) fn new(inner: A, fields: &'static [&'static str]) -> Self {
        Self { inner, fields, key: String::new(), file: false, seen: Vec::new() }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Map<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let (fields, key, file, seen) = (self.fields, &mut self.key, &mut self.file, &mut self.seen);
        self.inner.next_key_seed(Key { seed, fields, key, file, seen })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        let key = std::mem::take(&mut self.key);
        if std::mem::take(&mut self.file) {
            self.inner.next_value_seed(OfFile { seed, key })
        } else {
            self.inner.next_value_seed(Resolving { inner: seed, key })
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Key<'a, K> {
    seed: K,
    fields: &'static [&'static str],
    key: &'a mut String,
    file: &'a mut bool,
    seen: &'a mut Vec<String>,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Key<'_, K> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
        let written = String::deserialize(deserializer)?;
        let base = written.strip_suffix("-file").filter(|base| self.fields.contains(base));
        // A struct that has both says itself which one wins.
        let base = base.filter(|_| !self.fields.contains(&written.as_str()));
        let (name, file) = (base.unwrap_or(&written).to_owned(), base.is_some());
        if self.seen.contains(&name) && (file || self.seen.contains(&format!("{name}-file"))) {
            return Err(D::Error::custom(format!("`{name}` and `{name}-file` are both given; one is enough")));
        }
        self.seen.extend([name.clone(), written]);
        (*self.file, *self.key) = (file, name.clone());
        self.seed.deserialize(StringDeserializer::new(name))
    }
}

/// The value of `x-file`, handed on as that of `x`.
struct OfFile<V> {
    seed: V,
    key: String,
}

impl<'de, V: DeserializeSeed<'de>> DeserializeSeed<'de> for OfFile<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let path = String::deserialize(Resolving { inner: deserializer, key: format!("{}-file", self.key) })?;
        let text = Source::File(path.into()).read(&self.key).map_err(D::Error::custom)?;
        self.seed.deserialize(Text::new(text))
    }
}

/// An enum, with the key whose value it is.
pub(super) struct Enum<A> {
    pub(super) inner: A,
    pub(super) key: String,
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Enum<A> {
    type Error = A::Error;
    type Variant = Enum<A::Variant>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), A::Error> {
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, Enum { inner, key: self.key }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Enum<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.inner.newtype_variant_seed(Resolving { inner: seed, key: self.key })
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Visiting { inner: visitor, key: self.key, fields: &[] })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.inner.struct_variant(fields, Visiting { inner: visitor, key: self.key, fields })
    }
}
