// src/text/chat_template.cpp
