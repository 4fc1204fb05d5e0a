import Console
import Logging
import Tracking

/// A server that listens on a port of its own, with stand-ins behind it, until it is stopped.
final class LiveConsole: Sendable {
    let gateway: StandInGateway
    let archive: Archive
    let world: StandInWorld
    let outlet: StandInOutlet
    let server: ConsoleServer
    let port: Int
    private let running: Task<Void, any Error>

    init(
        _ settings: ConsoleSettings = ConsoleSettings(), stored: StoreChange = Sample.stored,
        world: StandInWorld = StandInWorld(), outlet: StandInOutlet = StandInOutlet()
    ) async throws {
        gateway = StandInGateway()
        archive = try Archive(stored)
        self.world = world
        self.outlet = outlet
        var settings = settings
        settings.port = 0
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = ConsoleServer(
            settings,
            ConsoleParts(
                gateway: gateway, tracking: archive.tracking, world: world, notices: outlet),
            logger: logger)
        self.server = server
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        running = Task {
            defer { continuation.finish() }
            try await server.run { continuation.yield($0) }
        }
        var found: Int?
        for await port in ports {
            found = port
            break
        }
        guard let found else {
            try await running.value
            throw HTTPClient.Failure(description: "the server has ended")
        }
        port = found
    }

    var client: HTTPClient { HTTPClient(port: port) }

    func stop() async throws {
        await server.stop()
        try await running.value
    }

    /// Runs `body` with a server that has gone afterwards, whatever happens.
    static func with(
        _ settings: ConsoleSettings = ConsoleSettings(), stored: StoreChange = Sample.stored,
        world: StandInWorld = StandInWorld(), outlet: StandInOutlet = StandInOutlet(),
        _ body: @Sendable (LiveConsole) async throws -> Void
    ) async throws {
        let console = try await LiveConsole(settings, stored: stored, world: world, outlet: outlet)
        do {
            try await body(console)
        } catch {
            console.gateway.release()
            try? await console.stop()
            throw error
        }
        console.gateway.release()
        try await console.stop()
    }
}

/// Waits until `condition` holds, at most 20 s; whether it does.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<2_000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}
