import Glibc
import NIOCore

extension ConsoleSettings {
    /// Throws if nobody could listen at this address now; changes nothing. For whoever wants to
    /// know before anything else is begun: `ConsoleServer.run` throws the same.
    public func checkAddress() throws(ConsoleError) {
        let address: SocketAddress
        do {
            address = try SocketAddress.makeAddressResolvingHost(bind, port: port)
        } catch {
            throw .unknownHost(bind)
        }
        let kind = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.protocol.rawValue, kind, 0)
        guard descriptor >= 0 else { throw ConsoleError(errno, self) }
        defer { close(descriptor) }
        // As the server's own: what an earlier one has not quite closed is no hindrance.
        var one: CInt = 1
        setsockopt(
            descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<CInt>.size))
        let result = address.withSockAddr { Glibc.bind(descriptor, $0, socklen_t($1)) }
        guard result == 0 else { throw ConsoleError(errno, self) }
    }
}

extension ConsoleError {
    /// What the system says, as `errno` has it.
    init(_ code: CInt, _ settings: ConsoleSettings) {
        self =
            switch code {
            case EADDRINUSE: .portInUse(address: settings.bind, port: settings.port)
            case EACCES, EPERM: .notAllowed(address: settings.bind, port: settings.port)
            default: .noAddress(settings.bind, reason: String(cString: strerror(code)))
            }
    }
}
