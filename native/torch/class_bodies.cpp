#include "torch/class_bodies.h"

#include <torch/csrc/jit/frontend/lexer.h>
#include <torch/csrc/jit/frontend/parser.h>
#include <torch/csrc/jit/frontend/tree_views.h>

#include <algorithm>
#include <string>

#include "torch/errors.h"

namespace tr0n::torchscript {
namespace {

namespace jit = torch::jit;

/// Far more than networks have.
constexpr int kDeepest = 200;
constexpr double kMostMentions = 1e6;

/// "__torch__.module.Name", where a tree is such a chain; else empty.
std::string dotted(const jit::TreeRef& tree) {
  if (tree->kind() == jit::TK_VAR) return jit::Var(tree).name().name();
  if (tree->kind() != '.') return "";
  const jit::Select select(tree);
  const std::string before = dotted(jit::TreeRef(select.value()));
  return before.empty() ? "" : before + "." + select.selector().name();
}

void collect(const jit::TreeRef& tree, std::vector<std::string>& names) {
  const std::string name = dotted(tree);
  if (!name.empty()) {
    names.push_back(name);
  } else if (!tree->isAtom()) {
    for (const jit::TreeRef& part : tree->trees()) collect(part, names);
  }
}

struct Extent {
  double mentions = 0;
  int depth = 0;
};

const Extent& measure(const std::string& name, const ClassGraph& classes,
                      std::map<std::string, Extent>& known, int level) {
  static const Extent* nothing = new Extent;
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  const auto itself = classes.find(name);
  if (itself == classes.end()) return *nothing;
  if (level > kDeepest) throw Damaged("code: classes that are nested too deeply, or in themselves: " + name);
  Extent extent{1, 1};
  for (const std::string& part : itself->second) {
    const Extent& inner = measure(part, classes, known, level + 1);
    extent.mentions += inner.mentions;
    extent.depth = std::max(extent.depth, inner.depth + 1);
  }
  if (extent.mentions > kMostMentions || extent.depth > kDeepest)
    throw Damaged("code: classes that are nested too deeply, or mention others too often: " + name);
  return known[name] = extent;
}

bool is_list_of_names(const std::string& name) {
  return name == "__parameters__" || name == "__buffers__" || name == "__forward_hooks__" ||
         name == "__forward_pre_hooks__" || name == "__annotations__";
}

/// Of an ordinary class: "name : type", "name : type = value", "__parameters__ = [...]",
/// "__annotations__["name"] = type".
bool sound(const jit::Assign& assign) {
  const jit::Expr left = assign.lhs();
  if (left.kind() == jit::TK_SUBSCRIPT)
    return assign.rhs().present() && jit::Subscript(left).subscript_exprs().size() == 1;
  if (left.kind() != jit::TK_VAR) return false;
  return is_list_of_names(jit::Var(left).name().name()) ? assign.rhs().present() : assign.type().present();
}

void check(const jit::ClassDef& definition, const std::string& place, std::vector<std::string>& names) {
  std::string base;
  if (definition.superclass().present()) base = jit::Var(definition.superclass().get()).name().name();
  for (const jit::Stmt& statement : definition.body()) {
    if (statement.kind() != jit::TK_ASSIGN) continue;  // libtorch knows functions, and refuses all else
    const jit::Assign assign{jit::TreeRef(statement)};
    const bool one = assign.lhs_list().size() == 1;
    const bool fine = base == "Enum"         ? one && assign.rhs().present()
                      : base == "NamedTuple" ? one && assign.type().present()
                                             : one && sound(assign);
    if (!fine)
      throw Damaged(place + ": a line in class " + definition.name().name() +
                    " that is no attribute with its type");
    if (assign.type().present()) collect(jit::TreeRef(assign.type().get()), names);
    if (assign.lhs().kind() == jit::TK_SUBSCRIPT) collect(jit::TreeRef(assign.rhs().get()), names);
  }
}

}  // namespace

void check_classes(const std::shared_ptr<jit::Source>& source, const std::string& place,
                   const std::string& qualifier, ClassGraph& classes) {
  jit::Parser parser(source);
  jit::Lexer& lexer = parser.lexer();
  if (lexer.cur().kind == jit::TK_IDENT && lexer.cur().text() == "op_version_set") {
    lexer.next();
    lexer.expect('=');
    lexer.expect(jit::TK_NUMBER);
    lexer.expect(jit::TK_NEWLINE);
  }
  while (lexer.cur().kind != jit::TK_EOF) {
    if (lexer.cur().kind == jit::TK_CLASS_DEF) {
      const jit::ClassDef definition(parser.parseClass());
      check(definition, place, classes[qualifier + "." + definition.name().name()]);
    } else if (lexer.cur().kind == jit::TK_DEF) {
      parser.parseFunction(/*is_method=*/false);
    } else {
      throw Damaged(place + ": expected classes and functions");
    }
  }
}

void check_sizes(const ClassGraph& classes) {
  std::map<std::string, Extent> known;
  for (const auto& [name, names] : classes) measure(name, classes, known, 0);
}

}  // namespace tr0n::torchscript
