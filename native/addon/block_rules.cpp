#include "addon/block_rules.h"

#include "addon/arguments.h"
#include "addon/errors.h"
#include "bridge/row_runner.h"
#include "bridge/rule_book.h"

namespace tr0n::addon {
namespace {

constexpr size_t kMostRowsOfBlock = size_t{1} << 20;

Napi::Value block_rules(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    Napi::Array list = Napi::Array::New(info.Env());
    uint32_t count = 0;
    for (const auto& [key, rule] : RuleBook::instance().with_prefix(read_text(info[0], "prefix"))) {
      Napi::Object entry = Napi::Object::New(info.Env());
      entry.Set("key", key);
      entry.Set("granularity", static_cast<double>(rule.granularity));
      entry.Set("rows", static_cast<double>(rule.max_rows));
      list.Set(count++, entry);
    }
    return list;
  });
}

void learn_block_rules(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    if (!info[0].IsArray()) throw_invalid("rules", "an array of rules", info[0]);
    const auto list = info[0].As<Napi::Array>();
    std::vector<RuleBook::Entry> entries;
    for (uint32_t i = 0; i < list.Length(); ++i) {
      const Fields fields(list.Get(i), "rules[" + std::to_string(i) + "]");
      BlockRule rule;
      fields.optional("granularity", rule.granularity, 1, kMostRowsOfBlock);
      fields.optional("rows", rule.max_rows, 1, kMostRowsOfBlock);
      entries.emplace_back(fields.text("key"), rule);
    }
    RuleBook::instance().learn(entries);
  });
}

void forget_block_rules(const Napi::CallbackInfo&) { RuleBook::instance().clear(); }

Napi::Value rows_run(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(RowRunner::rows_run()));
}

}  // namespace

void define_block_rules(Napi::Env env, Napi::Object exports) {
  exports.Set("blockRules", Napi::Function::New<block_rules>(env, "blockRules"));
  exports.Set("learnBlockRules", Napi::Function::New<learn_block_rules>(env, "learnBlockRules"));
  exports.Set("forgetBlockRules", Napi::Function::New<forget_block_rules>(env, "forgetBlockRules"));
  exports.Set("rowsRun", Napi::Function::New<rows_run>(env, "rowsRun"));
}

}  // namespace tr0n::addon
