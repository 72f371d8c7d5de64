// Licences collects the licences of everything that packages are built from.
//
//	licences OUT PLATFORMS FLAGS… PACKAGES…
//
// It asks `go list -deps` for the modules of the packages, for each platform (comma-separated
// os/arch; "" is what the environment says), looks for licence files in each module between its
// root and the packages that are used, and tells them apart by their text. OUT gets licenses.json and
// notices/MODULE@VERSION/FILE.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/google/licensecheck"
)

// What a file must be covered by known text: less is a licence with more to it.
const covered = 75

var (
	licence = regexp.MustCompile(`(?i)^(mit-|apache-)?(un)?(licen[sc]es?|copying)([._-].*)?$`)
	notice  = regexp.MustCompile(`(?i)^(notice|patents|copyright)([._-].*)?$`)
)

type listed struct {
	Dir, ImportPath string
	Module          *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version string }
	}
}

// Found is what is known of one module.
type Found struct {
	Module   string            `json:"module"`
	Version  string            `json:"version"`
	Licenses []string          `json:"licenses"`
	Files    []string          `json:"files"`
	dirs     map[string]string // directory: the path below the module that it has
}

func main() {
	if err := run(os.Args[1], strings.Split(os.Args[2], ","), os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out string, platforms, arguments []string) error {
	modules := map[string]*Found{}
	said, err := exec.Command("go", "env", "GOROOT", "GOVERSION").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	modules["std"] = &Found{Module: "std", Version: version, dirs: map[string]string{root: ""}}
	for _, platform := range platforms {
		if err := list(modules, platform, arguments); err != nil {
			return err
		}
	}
	report := []*Found{}
	for _, found := range modules {
		if err := found.read(out); err != nil {
			return err
		}
		report = append(report, found)
	}
	sort.Slice(report, func(i, j int) bool { return report[i].Module < report[j].Module })
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "licenses.json"), append(text, '\n'), 0o644)
}

// list adds the modules of the packages on a platform.
func list(modules map[string]*Found, platform string, arguments []string) error {
	command := exec.Command("go", append([]string{"list", "-deps", "-json=Dir,ImportPath,Module"}, arguments...)...)
	command.Env = os.Environ()
	if system, arch, ok := strings.Cut(platform, "/"); ok {
		arch, _, _ = strings.Cut(arch, "/")
		command.Env = append(command.Env, "GOOS="+system, "GOARCH="+arch)
	}
	command.Stderr = os.Stderr
	said, err := command.Output()
	if err != nil {
		return fmt.Errorf("go list: %w", err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(said)); ; {
		var one listed
		if err := decoder.Decode(&one); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		add(modules, one)
	}
}

func add(modules map[string]*Found, one listed) {
	if one.Module == nil {
		return
	}
	if one.Module.Main {
		return
	}
	module, version := one.Module.Path, one.Module.Version
	if replaced := one.Module.Replace; replaced != nil {
		version = strings.TrimPrefix(replaced.Path+"@"+replaced.Version, module+"@")
	}
	found, ok := modules[module]
	if !ok {
		found = &Found{Module: module, Version: version, dirs: map[string]string{}}
		modules[module] = found
	}
	// From the package up to the module's root; vendored modules have no directory of their own.
	below := strings.Trim(strings.TrimPrefix(one.ImportPath, module), "/")
	for dir := one.Dir; ; dir, below = filepath.Dir(dir), parent(below) {
		found.dirs[dir] = below
		if below == "" {
			return
		}
	}
}

func parent(path string) string {
	return path[:max(strings.LastIndex(path, "/"), 0)]
}

// read finds the licence files and copies them.
func (found *Found) read(out string) error {
	found.Licenses, found.Files = []string{}, []string{}
	for dir, below := range found.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name := entry.Name()
			code := slices.Contains([]string{".go", ".c", ".h", ".s", ".py", ".sh", ".json"}, filepath.Ext(name))
			if entry.IsDir() || code || !(licence.MatchString(name) || notice.MatchString(name)) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			path := filepath.Join(below, name)
			found.Files = append(found.Files, path)
			if licence.MatchString(name) {
				found.Licenses = append(found.Licenses, named(text)...)
			}
			to := filepath.Join(out, "notices", found.Module+"@"+strings.ReplaceAll(found.Version, "/", "_"), path)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(to, text, 0o644); err != nil {
				return err
			}
		}
	}
	if len(found.Licenses) == 0 {
		found.Licenses = []string{"none"}
	}
	sort.Strings(found.Licenses)
	found.Licenses = slices.Compact(found.Licenses)
	sort.Strings(found.Files)
	return nil
}

// named gives the licences that a text is, and "unknown" if more than a little of it is no licence.
func named(text []byte) []string {
	scanned := licensecheck.Scan(text)
	names := []string{}
	for _, match := range scanned.Match {
		if !match.IsURL {
			names = append(names, match.ID)
		}
	}
	if scanned.Percent < covered || len(names) == 0 {
		names = append(names, "unknown")
	}
	return names
}
