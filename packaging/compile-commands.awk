# The compiler commands in what "make -n V=1" prints, as a compilation database for editors and tools.
match($0, / -c [^ ]+\.c /) {
	file = substr($0, RSTART + 4, RLENGTH - 5)
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	printf "%s{\"directory\": \"%s\", \"file\": \"%s\",\n \"command\": \"%s\"}", n++ ? ",\n" : "[\n", folder, file, $0
}
END { print n ? "\n]" : "[]" }
