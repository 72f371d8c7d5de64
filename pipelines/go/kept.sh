# sh kept.sh SLOT go build ... -o /out/[NAME] ...
#
# Run `go build` with the executables of the last time at hand, so that it links only what changed.
#
# Go reads the build id out of a file that has the name of an output, and leaves the file alone if
# it is what it would link (cmd/go/internal/work/buildid.go, useCache): sources, flags, stamps and
# its own version are all in that id. The rest of the file it does not look at. So a kept file is
# lent only with a proof that nothing touched it since it was put there whole: its inode, size and
# time of change, which nobody can set. Whatever is not as it was (cut short, overwritten, another
# file, copied from another machine) is linked anew.
#
# Nobody waits for anybody: what is lent is a copy, kept files come and go by rename, and a proof
# that belongs to another's file proves nothing. Losing any step costs a link, and keeping never
# fails a build.

slot=$GOCACHE/kept/$1
shift
# An old busybox has no fractions of seconds: then there is no proof.
prove() {
    proof=$(stat -c '%i %s %z' "$1") || return
    case $proof in *.000000000*) return 1 ;; esac
}

lent=
for file in "$slot"/bin/*; do
    name=${file##*/}
    [ -f "$file" ] && prove "$file" && IFS= read -r known <"$slot/proof/$name" || continue
    [ "$proof" = "$known" ] || continue
    [ -d /out ] || mkdir -p /out
    # Kept files are older than anything; Go gives the time of the build to what it leaves alone.
    if cp -p "$file" "/out/$name" && is=$(stat -c '%i %Y' "/out/$name"); then
        lent="$lent/$name/$is/"
    else
        rm -f "/out/$name"
    fi
done 2>/dev/null

"$@" || exit

exec 2>/dev/null
mkdir -p "$slot/bin" "$slot/proof" || exit 0
new=
for file in /out/*; do
    name=${file##*/}
    [ -f "$file" ] && is=$(stat -c '%i %Y' "$file") || continue
    case $lent in
    *"/$name/$is/"*)
        # Lent, and no output: of a command that is gone, or of another build.
        rm -f "$file" "$slot/bin/$name" "$slot/proof/$name"
        continue
        ;;
    *"/$name/${is% *} "*) continue ;;
    esac
    [ -n "$new" ] || new=$(mktemp -d "$slot/new.XXXXXX") || exit 0
    cp "$file" "$new/file" && touch -t 198001010000 "$new/file" &&
        mv -f "$new/file" "$slot/bin/$name" && prove "$slot/bin/$name" || continue
    printf '%s\n' "$proof" >"$new/proof" && mv -f "$new/proof" "$slot/proof/$name"
done
[ -z "$new" ] || rm -rf "$new"
exit 0
