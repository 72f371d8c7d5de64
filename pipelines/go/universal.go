// Universal joins Mach-O executables for several architectures into one file.
//
//	go run universal.go OUT IN IN…
//
// Source: mach-o/fat.h: a big-endian header, one entry an architecture, then the executables at
// multiples of 2^14 bytes (the page size of arm64).
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

const (
	fatMagic = 0xcafebabe
	machO64  = 0xfeedfacf
	align    = 14
)

type entry struct{ CPU, SubCPU, Offset, Size, Align uint32 }

func main() {
	if err := join(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "universal:", err)
		os.Exit(1)
	}
}

func join(out string, inputs []string) error {
	var body bytes.Buffer
	entries := make([]entry, 0, len(inputs))
	for _, name := range inputs {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if len(content) < 12 || binary.LittleEndian.Uint32(content) != machO64 {
			return fmt.Errorf("%s is not a 64-bit Mach-O executable", name)
		}
		place := (max(body.Len(), 1) + 1<<align - 1) >> align << align
		body.Write(make([]byte, place-body.Len()))
		entries = append(entries, entry{
			binary.LittleEndian.Uint32(content[4:]), binary.LittleEndian.Uint32(content[8:]),
			uint32(place), uint32(len(content)), align,
		})
		body.Write(content)
	}
	var head bytes.Buffer
	for _, part := range []any{[]uint32{fatMagic, uint32(len(entries))}, entries} {
		if err := binary.Write(&head, binary.BigEndian, part); err != nil {
			return err
		}
	}
	file := body.Bytes()
	copy(file, head.Bytes()) // the first 2^14 bytes were left for it
	return os.WriteFile(out, file, 0o755)
}
