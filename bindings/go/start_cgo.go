//go:build cgo && linux && !corertc_none

package corertc

/*
#include <corertc.h>
*/
import "C"

import (
	"strings"
	"sync"
	"unsafe"
)

// startRoom is what a start writes into; it always suffices.
type startRoom struct {
	legs [C.CORERTC_LEGS_MAX]C.corertc_leg
	argv [C.CORERTC_ARGV_MAX]byte
}

var startRooms = sync.Pool{New: func() any { return new(startRoom) }}

func (lib *library) start(side side, id string, cfg *ProcessConfig) ([]ConfigIO, error) {
	config, err := newProcessConfig(cfg)
	if err != nil {
		return nil, err
	}
	defer C.corertc_process_config_free(config)
	room := startRooms.Get().(*startRoom)
	defer startRooms.Put(room)
	var legsLen, argvLen C.size_t
	for i := range room.legs {
		room.legs[i].size = C.sizeof_corertc_leg
	}
	idStart, idLen := chars(id)
	legs, argv := &room.legs[0], (*C.char)(unsafe.Pointer(&room.argv[0]))
	why := newError()
	var status C.corertc_status
	if side == ingest {
		status = C.corertc_input_start(lib.subsystem, idStart, idLen, config, legs, C.CORERTC_LEGS_MAX, &legsLen,
			argv, C.CORERTC_ARGV_MAX, &argvLen, &why.c)
	} else {
		status = C.corertc_process_start(lib.subsystem, idStart, idLen, config, legs, C.CORERTC_LEGS_MAX, &legsLen,
			argv, C.CORERTC_ARGV_MAX, &argvLen, &why.c)
	}
	if err := why.of(status); err != nil {
		return nil, err
	}
	ios := make([]ConfigIO, 0, int(legsLen))
	for i := range room.legs[:legsLen] {
		ios = append(ios, room.io(&room.legs[i]))
	}
	return ios, nil
}

// io is a leg: the last argument is the address.
func (room *startRoom) io(leg *C.corertc_leg) ConfigIO {
	joined := string(room.argv[leg.argv_offset : leg.argv_offset+leg.argv_len])
	arguments := strings.Split(strings.TrimSuffix(joined, "\x00"), "\x00")
	last := len(arguments) - 1
	return ConfigIO{ID: C.GoString(&leg.id[0]), Address: arguments[last], Options: arguments[:last:last]}
}
