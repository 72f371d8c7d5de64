// Package version holds what the linker stamped into the binary.
package version

import "runtime"

// Version and Commit are set at link time:
//
//	go build -ldflags "-X example.com/golinks/internal/version.Version=v1.2.3"
var (
	Version = "dev"
	Commit  = "none"
)

// String is the one line that `golinks version` prints.
func String() string {
	return Version + " (" + Commit + ") " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}
