import Wire

extension ZCLMessage {
    /// What a frame of the Key Establishment cluster comes to before anybody acts on it.
    public enum KeyEstablishmentReading: Sendable {
        case command(KeyEstablishmentCommand)
        /// A command that cannot be read: the session, if there is one, ends.
        case malformed
        /// Nothing is left to do but this: what is answered, and why it goes no further.
        case answered(FrameBuffer?, drop: DropReason?)
    }

    /// Reads it for the side that hears frames from the server, or from clients.
    public func keyEstablishment(
        fromServer: Bool, _ suites: KeyEstablishmentSuites
    ) -> KeyEstablishmentReading {
        guard header.fromServer == fromServer else {
            return .answered(refusalOfDirection, drop: .zclWrongDirection)
        }
        guard header.isClusterSpecific else {
            let answer = ZCLGeneral.answer(self, of: .keyEstablishment) {
                ZCLAttribute.keyEstablishment($0, suites)
            }
            return .answered(answer, drop: nil)
        }
        // It is between two.
        guard !message.isBroadcast else { return .answered(nil, drop: .zclUnexpected) }
        do {
            var reader = ByteReader(body)
            guard
                let command = try KeyEstablishmentCommand(header.command, parsing: &reader)
            else { return .answered(defaultResponse(.unsupportedClusterCommand), drop: nil) }
            return .command(command)
        } catch { return .malformed }
    }
}
