#pragma once
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

/// Configurations describe their fields once: a struct's `fields(self, visit)` calls visit(value, Field) for
/// each. What reads JavaScript objects, what checks values and what tells others of them all go by that.
namespace tr0n {

/// A field's names and what its values may be. Made by chaining, from its names on.
class Field {
 public:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  /// `key` as JavaScript calls it, `label` as errors do.
  constexpr Field(const char* key_text, const char* label_text) : key(key_text), label(label_text) {}

  constexpr Field least(double value) const { return with(&Field::minimum, value); }
  constexpr Field most(double value) const { return with(&Field::maximum, value); }
  constexpr Field above(double value) const {
    return with(&Field::minimum, value).with(&Field::exclusive_minimum, true);
  }
  constexpr Field below(double value) const {
    return with(&Field::maximum, value).with(&Field::exclusive_maximum, true);
  }
  /// The limits of a number in the words of its errors. Whole numbers have theirs from their limits.
  constexpr Field said(const char* text) const { return with(&Field::expected, text); }
  constexpr Field in(const char* text) const { return with(&Field::unit, text); }
  constexpr Field needed() const { return with(&Field::required, true); }
  /// A value that stands for "as the core sees fit", whatever the limits.
  constexpr Field automatic(double value) const {
    return with(&Field::automatic_value, value).with(&Field::has_automatic, true);
  }
  /// Any whole number of 64 bits.
  constexpr Field random_seed() const { return with(&Field::seed, true).needed(); }

  bool allows(double value) const {
    if (has_automatic && value == automatic_value) return true;
    return value - value == 0 && (exclusive_minimum ? value > minimum : value >= minimum) &&
           (exclusive_maximum ? value < maximum : value <= maximum);
  }

  const char *key, *label;
  const char *expected = "a finite number", *unit = "";
  double minimum = -kInfinity, maximum = kInfinity, automatic_value = 0;
  bool exclusive_minimum = false, exclusive_maximum = false, required = false, has_automatic = false,
       seed = false;

 private:
  template <class T>
  constexpr Field with(T Field::*member, T value) const {
    Field field = *this;
    field.*member = value;
    return field;
  }
};

/// The names of an enumeration's values: specialisations have `all`, an array of pairs (name, value).
template <class Choice>
struct Names;

/// Throws Error(ERR_INVALID_ARGUMENT): `whose`, the field's label, what was expected and what came.
[[noreturn]] void refuse_field(const char* whose, const Field& field, double value);
[[noreturn]] void refuse_field(const char* whose, const Field& field, unsigned long long value);

/// Throws where a field's value is none that its description allows. What depends on several fields is left
/// to the owner of the struct.
template <class Config>
void check_fields(const Config& config, const char* whose) {
  Config::fields(config, [&](const auto& value, const Field& field) {
    using Value = std::decay_t<decltype(value)>;
    if constexpr (std::is_floating_point_v<Value>) {
      if (!field.allows(static_cast<double>(value))) refuse_field(whose, field, static_cast<double>(value));
    } else if constexpr (std::is_unsigned_v<Value> && !std::is_same_v<Value, bool>) {
      if (!field.seed && !field.allows(static_cast<double>(value)))
        refuse_field(whose, field, static_cast<unsigned long long>(value));
    }
  });
}

}  // namespace tr0n
