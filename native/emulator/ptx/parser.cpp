#include "emulator/ptx/parser.h"

#include <cstring>

namespace tr0n::emulator {
namespace {

Space space_named(std::string_view directive) {
  if (directive == ".global") return Space::global;
  if (directive == ".shared") return Space::shared;
  if (directive == ".local") return Space::local;
  if (directive == ".const") return Space::constant;
  if (directive == ".param") return Space::param;
  return Space::generic;
}

}  // namespace

ModuleSource parse_ptx(std::string_view text) { return Parser(text).module(); }

ModuleSource Parser::module() {
  ModuleSource module;
  header(module);
  bool external = false;
  while (lexer_.peek().kind != Token::Kind::end) {
    const Token& token = lexer_.peek();
    const Space space = space_named(token.text);
    if (token.kind != Token::Kind::directive)
      lexer_.fail("expected a directive, found \"" + std::string(token.text) + "\"");
    if (lexer_.accept(".visible") || lexer_.accept(".weak") || lexer_.accept(".common")) {
      external = false;
    } else if (lexer_.accept(".extern")) {
      external = true;
    } else if (space != Space::generic) {
      lexer_.take();
      module.variables.push_back(variable(space, external));
      lexer_.expect(";");
      external = false;
    } else if (lexer_.accept(".entry")) {
      function(module, true, external);
      external = false;
    } else if (lexer_.accept(".func")) {
      function(module, false, external);
      external = false;
    } else if (lexer_.is(".section")) {
      lexer_.skip_line();
      if (lexer_.accept("{")) {
        while (!lexer_.is("}") && lexer_.peek().kind != Token::Kind::end) lexer_.take();
        lexer_.expect("}");
      }
    } else if (lexer_.is(".file") || lexer_.is(".pragma") || lexer_.is(".loc")) {
      lexer_.skip_line();
    } else {
      lexer_.fail("unknown directive \"" + std::string(token.text) + "\"");
    }
  }
  return module;
}

void Parser::header(ModuleSource& module) {
  lexer_.expect(".version");
  const Token version = lexer_.take();
  if (version.kind != Token::Kind::number) lexer_.fail("expected a version such as 9.0");
  double number = 0;
  if (version.is_float) {
    std::memcpy(&number, &version.bits, 8);
  } else {
    number = static_cast<double>(version.bits);
  }
  module.version = static_cast<int>(number * 10 + 0.5);
  lexer_.expect(".target");
  module.target_name = lexer_.expect_word();
  if (module.target_name.rfind("sm_", 0) != 0)
    lexer_.fail("expected a target such as sm_80, found \"" + module.target_name + "\"");
  module.target = std::atoi(module.target_name.c_str() + 3);
  while (lexer_.accept(",")) lexer_.expect_word();  // debug, texmode_…
  if (lexer_.accept(".address_size") && lexer_.expect_integer() != 64)
    lexer_.fail("only 64-bit addresses are supported");
}

void Parser::function(ModuleSource& module, bool is_entry, bool is_external) {
  FunctionSource function;
  function.is_entry = is_entry;
  function.is_external = is_external;
  function.line = lexer_.peek().line;
  if (!is_entry && lexer_.is("(")) function.results = parameters();
  function.name = lexer_.expect_word();
  if (lexer_.is("(")) function.parameters = parameters();
  performance_directives(function);
  if (lexer_.accept(";")) {  // a declaration: kept only where no body follows
    if (is_external) module.functions.push_back(std::move(function));
    return;
  }
  body(function);
  module.functions.push_back(std::move(function));
}

void Parser::performance_directives(FunctionSource& function) {
  for (;;) {
    const bool required = lexer_.is(".reqntid");
    if (lexer_.accept(".maxntid") || lexer_.accept(".reqntid")) {
      uint32_t product = 1;
      for (int axis = 0; axis < 3; ++axis) {
        const auto size =
            static_cast<uint32_t>(axis == 0 || lexer_.accept(",") ? lexer_.expect_integer() : 1);
        product *= size;
        if (required) function.required_threads[axis] = size;
      }
      function.max_threads = product;
    } else if (lexer_.accept(".minnctapersm") || lexer_.accept(".maxnreg") ||
               lexer_.accept(".maxnctapersm")) {
      lexer_.expect_integer();
    } else if (lexer_.is(".pragma")) {
      lexer_.skip_line();
    } else if (!lexer_.accept(".noreturn")) {
      return;
    }
  }
}

std::vector<Variable> Parser::parameters() {
  std::vector<Variable> list;
  lexer_.expect("(");
  while (!lexer_.is(")")) {
    lexer_.expect(".param");
    list.push_back(variable(Space::param, false));
    if (!lexer_.accept(",")) break;
  }
  lexer_.expect(")");
  return list;
}

Variable Parser::variable(Space space, bool is_external) {
  Variable variable;
  variable.space = space;
  variable.is_external = is_external;
  variable.line = lexer_.peek().line;
  unsigned vector = 1;
  uint32_t align = 0;
  for (;;) {
    if (lexer_.accept(".align")) {
      align = static_cast<uint32_t>(lexer_.expect_integer());
    } else if (lexer_.accept(".ptr")) {
      if (space_named(lexer_.peek().text) != Space::generic) lexer_.take();
    } else if (lexer_.accept(".v2")) {
      vector = 2;
    } else if (lexer_.accept(".v4")) {
      vector = 4;
    } else if (lexer_.peek().kind == Token::Kind::directive) {
      const Token token = lexer_.take();
      if (token.text == ".managed" || token.text.rfind(".attribute", 0) == 0)
        throw PtxError(token.line, "managed variables are not supported");
      if (variable.type == Type::none) variable.type = type_named(token.text.substr(1));
      if (type_named(token.text.substr(1)) == Type::none && space_named(token.text) == Space::generic)
        throw PtxError(token.line, "unknown type \"" + std::string(token.text) + "\"");
    } else {
      break;
    }
  }
  const unsigned element = bytes_of(variable.type);
  if (element == 0) lexer_.fail("expected a type before the name of a variable");
  variable.name = lexer_.expect_word();
  variable.bytes = uint64_t{element} * vector;
  variable.align = align > 0 ? align : static_cast<uint32_t>(variable.bytes);
  bool open = false;
  while (lexer_.accept("[")) {
    if (lexer_.is("]")) {
      open = true;
    } else {
      variable.bytes *= static_cast<uint64_t>(lexer_.expect_integer());
    }
    lexer_.expect("]");
  }
  if (lexer_.accept("=")) {
    initialiser(variable, element);
    if (open) variable.bytes = variable.initial.size();
    if (variable.initial.size() > variable.bytes)
      lexer_.fail("more initial values than \"" + variable.name + "\" has room for");
  } else if (open) {
    variable.bytes = 0;
  }
  return variable;
}

void Parser::initialiser(Variable& variable, unsigned element) {
  if (!lexer_.accept("{")) {
    initial_value(variable, element, variable.initial.size());
    return;
  }
  while (!lexer_.is("}")) {
    initialiser(variable,
                element);  // inner braces of several dimensions are written out in full by compilers
    if (!lexer_.accept(",")) break;
  }
  lexer_.expect("}");
}

void Parser::initial_value(Variable& variable, unsigned element, size_t at) {
  variable.initial.resize(at + element);
  uint64_t bits = 0;
  const Token& token = lexer_.peek();
  if (token.kind == Token::Kind::word) {
    Variable::Pointer pointer{at, lexer_.expect_word(), 0, false};
    if (pointer.symbol == "generic" && lexer_.accept("(")) {
      pointer.generic = true;
      pointer.symbol = lexer_.expect_word();
      if (!lexer_.is(")")) pointer.addend = lexer_.expect_integer();
      lexer_.expect(")");
    }
    if (lexer_.is("+") || lexer_.is("-")) pointer.addend += lexer_.expect_integer();
    variable.pointers.push_back(pointer);
  } else if (token.kind == Token::Kind::number && token.is_float) {
    bits = token.bits;
    if (token.float_bytes == 8 && element == 4) {
      double wide = 0;
      std::memcpy(&wide, &bits, 8);
      const auto narrow = static_cast<float>(wide);
      bits = 0;
      std::memcpy(&bits, &narrow, 4);
    }
    lexer_.take();
  } else {
    bits = static_cast<uint64_t>(lexer_.expect_integer());
  }
  std::memcpy(variable.initial.data() + at, &bits, std::min<size_t>(element, 8));
}

}  // namespace tr0n::emulator
