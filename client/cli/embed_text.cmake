# cmake -DINPUT=a.js -DOUTPUT=a.cc -DFUNCTION=Name -P embed_text.cmake: a source
# file whose lathe::Name() returns the text of INPUT, or nothing when there is
# no such file. Addresses lose their scheme: nothing that is embedded into a
# page shall look like a link.
set(text "")
if(INPUT AND EXISTS "${INPUT}")
  file(READ "${INPUT}" text)
  string(REPLACE "https://" "" text "${text}")
  string(REPLACE "http://" "" text "${text}")
endif()
file(WRITE "${OUTPUT}" "#include \"client/cli/report.h\"

namespace lathe {

absl::string_view ${FUNCTION}() {
  static constexpr char kText[] = R\"embedded(${text})embedded\";
  return absl::string_view(kText, sizeof(kText) - 1);
}

}  // namespace lathe
")
