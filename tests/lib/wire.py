"""A wire between an agent and the broker that a test can cut, hold, slow down and half-close."""
import asyncio, socket, struct, threading

CHUNK = 16384


class Wires:
    """All wires of a town: one thread, one loop."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def lay(self, to_port):
        wire = Wire(self, to_port)
        wire.port = asyncio.run_coroutine_threadsafe(wire.listen(), self.loop).result(10)
        return wire

    def end(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


class Wire:
    """Listens on `port` and leads to another one of this machine."""

    def __init__(self, wires, to_port):
        self.wires, self.to_port, self.port = wires, to_port, 0
        self.open, self.delay, self.held, self.ends, self.passed = True, 0.0, None, set(), 0

    async def listen(self):
        self.held = asyncio.Event()
        self.held.set()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        ends = {writer}
        self.ends |= ends
        try:
            if not self.open:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
            ends.add(far_writer)
            self.ends |= ends
            await asyncio.gather(self.pump(reader, far_writer), self.pump(far_reader, writer))
        except OSError:
            pass
        finally:
            self.ends -= ends
            for end in ends:
                end.close()

    async def pump(self, reader, writer):
        """One direction; when it ends, so does the other, as TCP has it for a program that closes."""
        while data := await reader.read(CHUNK):
            await self.held.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
            self.passed += len(data)
        if not writer.is_closing():
            writer.write_eof()

    def tell(self, what, *arguments):
        self.wires.loop.call_soon_threadsafe(what, *arguments)

    # ---- what a test does to it; each may be called at any time ----

    def cut(self):
        """Every connection is reset; new ones are let through, unless it is closed."""
        self.tell(self.reset)

    def close(self):
        """Cut, and nothing gets through until mend()."""
        self.open = False
        self.cut()

    def hold(self):
        """Connections stand and nothing passes: a peer sees silence."""
        self.tell(self.held.clear)

    def slow(self, seconds):
        """Each 16 KiB take so much longer."""
        self.delay = seconds

    def half_close(self, far):
        """The end of one direction, while the other goes on."""
        self.tell(self.end_writing, far)

    def mend(self):
        self.open, self.delay = True, 0.0
        self.tell(self.held.set)

    def reset(self):
        for end in list(self.ends):
            s = end.get_extra_info("socket")
            if s is not None and not end.is_closing():
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()

    def end_writing(self, far):
        for end in list(self.ends):
            port = (end.get_extra_info("peername") or (0, 0))[1]
            if (port == self.to_port) == far and not end.is_closing() and end.can_write_eof():
                end.write_eof()
